import Telemetry
import Testing
import WireFormats

@Suite("StatsD names and tags")
struct StatsDIdentityTests {
    private func identity(_ name: [UInt8], _ tags: [UInt8] = []) throws -> StatsDIdentity {
        try name.withUnsafeBytes { nameBytes in
            try tags.withUnsafeBytes { try StatsDIdentity(name: nameBytes, tags: $0) }
        }
    }

    private func show(_ identity: StatsDIdentity) -> String {
        let labels = identity.labels.map {
            "\(String(decoding: $0.key, as: UTF8.self))=\(String(decoding: $0.value, as: UTF8.self))"
        }
        return ([String(decoding: identity.name, as: UTF8.self)] + labels).joined(separator: " ")
    }

    @Test(
        "All tag styles",
        arguments: [
            ("a.b", "", "a.b"), ("a", "k:v", "a k=v"), ("a", "k:v,w", "a k=v w=true"), ("a", "k:v:w", "a k=v:w"),
            ("a", "k:,x:1", "a x=1"), ("a", ",,k:v,,", "a k=v"), ("a", "k:1,k:2", "a k=1 k=2"),
            ("a,k=v,x=y", "", "a k=v x=y"), ("a#k=v,w", "", "a k=v w=true"), ("a;k=v;x=y", "", "a k=v x=y"),
            ("a[k=v,x=y]b", "", "ab k=v x=y"), ("a[k=v]", "", "a k=v"), ("a,k=v", "x:y", "a k=v x=y"),
            ("a,k=v=w", "", "a k=v=w"), ("a", "", "a"), ("a,", "", "a"), ("a[]", "", "a"),
        ])
    func styles(name: String, tags: String, shown: String) throws {
        #expect(show(try identity(Array(name.utf8), Array(tags.utf8))) == shown)
    }

    @Test("What is refused, and why")
    func refused() {
        let cases: [([UInt8], [UInt8], LineRejection)] = [
            (Array("foo|c|#a".utf8), [], .noColon), (Array(",k=v".utf8), [], .emptyName),
            (Array("a".utf8), Array(":v".utf8), .badTag), (Array("a,=v".utf8), [], .badTag),
            (Array("a[k=v".utf8), [], .badTag), ([0x61, 0xff], [], .badUTF8),
            (Array("a".utf8), [0x6b, 0xff, 0x3a, 0x76], .badUTF8), (Array("[k=v]".utf8), [], .emptyName),
        ]
        for (name, tags, reason) in cases {
            #expect(throws: reason, "\(String(decoding: name, as: UTF8.self))") { try identity(name, tags) }
        }
        let many = (0...Limits.tagsPerLine).map { "k\($0):v" }.joined(separator: ",")
        #expect(throws: LineRejection.tooManyTags) { try identity(Array("a".utf8), Array(many.utf8)) }
    }

    @Test("Invalid UTF-8 in a value is repaired")
    func repair() throws {
        let found = try identity(Array("a".utf8), [0x6b, 0x3a, 0x76, 0xff, 0x77])
        #expect(show(found) == "a k=v\u{fffd}w")
    }

    @Test("Names and tags cut or flipped anywhere never trap")
    func damage() {
        let name = Array("ab[k=v,x]cd,e=f;g=h#i".utf8)
        let tags = Array("a:b,c,d:\u{e9},:x".utf8)
        for index in 0...name.count { _ = try? identity(Array(name.prefix(index)), tags) }
        for index in tags.indices {
            for bit in 0..<8 {
                var damaged = tags
                damaged[index] ^= 1 << UInt8(bit)
                _ = try? identity(name, damaged)
            }
        }
    }
}
