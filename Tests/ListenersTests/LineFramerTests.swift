import Listeners
import Telemetry
import TestKit
import Testing

@Suite struct LineFramerTests {
    /// Lines that come out, and the number left out, when the text is fed in these pieces.
    private func feed(_ pieces: [ArraySlice<UInt8>], ends: Bool = true) -> (lines: [[UInt8]], tooLong: UInt64) {
        var framer = LineFramer()
        var out: [UInt8] = []
        for piece in pieces {
            piece.withUnsafeBytes { bytes in
                framer.take(bytes) { block in
                    #expect(block.last == 10)
                    out.append(contentsOf: block)
                }
            }
        }
        if ends { framer.finish { out.append(contentsOf: $0) } }
        let lines = out.split(separator: 10, omittingEmptySubsequences: true).map(Array.init)
        return (lines, framer.tooLong)
    }

    @Test("A stream gives the same lines wherever it is cut in two")
    func everyCut() {
        let text = Array("a:1|c\r\n\nbb:2|g\nccc:3|ms|#k:v\n\n\nlast:4|c".utf8)
        let whole = feed([text[...]])
        #expect(whole.lines.count == 4)
        for cut in 0...text.count {
            let (lines, tooLong) = feed([text[..<cut], text[cut...]])
            #expect(lines == whole.lines, "cut \(cut)")
            #expect(tooLong == 0)
        }
        let single = feed(text.indices.map { text[$0...$0] })
        #expect(single.lines == whole.lines)
    }

    @Test("A line that is too long costs only itself", arguments: 1...30)
    func tooLong(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var (text, good, long): ([UInt8], [[UInt8]], UInt64) = ([], [], 0)
        for number in 0..<60 {
            let isLong = random.next() % 5 == 0
            let line =
                isLong
                ? [UInt8](repeating: 120, count: Limits.lineBytes + 3 + Int(random.next() % 20_000))
                : Array("line.\(number):1|c".utf8)
            if isLong { long += 1 } else { good.append(line) }
            text += line + [10]
        }
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        while start < text.count {
            let end = min(start + 1 + Int(random.next() % 3_000), text.count)
            pieces.append(text[start..<end])
            start = end
        }
        let (lines, tooLong) = feed(pieces)
        #expect(lines == good, "seed \(seed)")
        #expect(tooLong == long, "seed \(seed)")
    }

    @Test("The longest line is kept whole, and a longer one never takes more memory", arguments: [-1, 0, 1, 2, 3])
    func bound(extra: Int) {
        let text = [UInt8](repeating: 120, count: Limits.lineBytes + extra) + [10] + Array("ok".utf8)
        let (lines, tooLong) = feed([text[..<5], text[5...9], text[10...]])
        #expect(lines.last == Array("ok".utf8))
        #expect(UInt64(lines.count) + tooLong == 2)
        if extra <= 0 { #expect(tooLong == 0) }
    }

    @Test("The end of the stream ends a line that is too long, and nothing ends nothing")
    func end() {
        #expect(feed([[UInt8](repeating: 120, count: 20_000)[...]]).tooLong == 1)
        #expect(feed([]).lines.isEmpty)
        #expect(feed([Array("half".utf8)[...]], ends: false).lines.isEmpty)
    }
}
