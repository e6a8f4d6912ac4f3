import Telemetry
import Testing
import WireFormats

/// One line as a test sees it, free of borrowed bytes.
struct ReadLine: Equatable {
    var name = ""
    var tags = ""
    var samples: [String] = []
    var outcome: StatsDOutcome
}

/// Reads a whole datagram and renders each sample as `kind value xweight`.
func readAll(_ text: [UInt8], policy: GaugeSignPolicy = .auto) -> [ReadLine] {
    var reader = StatsDReader(signPolicy: policy)
    var lines: [ReadLine] = []
    text.withUnsafeBytes { bytes in
        reader.begin(bytes)
        while true {
            let outcome = reader.next()
            if outcome == .end { return }
            var line = ReadLine(outcome: outcome)
            if outcome == .line {
                line.name = String(decoding: reader.name, as: UTF8.self)
                line.tags = String(decoding: reader.tags, as: UTF8.self)
                line.samples = reader.samples.map(render)
            }
            lines.append(line)
        }
    }
    return lines
}

private func render(_ sample: MetricSample) -> String {
    if sample.kind == .set { return "set \(String(decoding: sample.member, as: UTF8.self))" }
    let weight = sample.weight == 1 ? "" : " x\(sample.weight)"
    return "\(sample.kind)\(sample.isDelta ? " by" : "") \(sample.value)\(weight)"
}

@Suite("StatsD lines")
struct StatsDReaderTests {
    @Test(
        "Accepted lines",
        arguments: [
            ("a:1|c", ["counter 1.0"]), ("a:1.5|c", ["counter 1.5"]), ("a:.5|g", ["gauge 0.5"]),
            ("a:5.|g", ["gauge 5.0"]), ("a:1e3|ms", ["timer 1000.0"]), ("a:1E-3|h", ["histogram 0.001"]),
            ("a:2|d", ["distribution 2.0"]), ("a:bob|s", ["set bob"]), ("a:1:2|s", ["set 1:2"]), ("a:7|s", ["set 7"]),
            ("a:+2|c", ["counter 2.0"]), ("a:0|c", ["counter 0.0"]), ("a:-0|c", ["counter -0.0"]),
            ("a:1|c|@0.1", ["counter 10.0"]), ("a:3|c|@0.3", ["counter 10.0"]),
            ("a:7|ms|@0.25", ["timer 7.0 x4.0"]), ("a:7|ms|@.5", ["timer 7.0 x2.0"]),
            ("a:1|c|@1", ["counter 1.0"]), ("a:1|c|@1e-6", ["counter 1000000.0"]),
            ("a:1|c|#x:y|@0.5", ["counter 2.0"]), ("a:1|c|@0.5|#x:y", ["counter 2.0"]),
            ("a:1|g|@0.5", ["gauge 1.0"]), ("a:1:2:3|ms", ["timer 1.0", "timer 2.0", "timer 3.0"]),
            ("a:1::3|c", ["counter 1.0", "counter 3.0"]), ("a:1:2|c|@0.5", ["counter 2.0", "counter 4.0"]),
            ("a:1|c:2|c", ["counter 1.0", "counter 2.0"]), ("a:1|c|@0.5:2|ms", ["counter 2.0", "timer 2.0"]),
            ("a:1|c:x|s:3|g", ["counter 1.0", "set x", "gauge 3.0"]),
            ("a:1|c|c:abc", ["counter 1.0"]), ("a:1|c|e:it-false,cn-x", ["counter 1.0"]),
            ("a:1|c|card:low", ["counter 1.0"]), ("a:1|c|T1656581400", ["counter 1.0"]), ("a:1|c|zzz", ["counter 1.0"]),
            ("a:1|c|", ["counter 1.0"]), ("a:1|c||#x:y", ["counter 1.0"]), ("a:-5|h", ["histogram -5.0"]),
            ("a:123456789012345678901234567890|g", ["gauge 1.2345678901234568e+29"]),
            ("a:0.1234567890123456789|g", ["gauge 0.12345678901234568"]),
            ("a:9007199254740993|g", ["gauge 9007199254740992.0"]),
            ("_underscore:1|c", ["counter 1.0"]),
        ])
    func accepts(line: String, samples: [String]) {
        let read = readAll(Array(line.utf8))
        #expect(read.map(\.outcome) == [.line], "\(line)")
        #expect(read.first?.samples == samples, "\(line)")
    }

    @Test(
        "Rejected lines and their reasons",
        arguments: [
            ("foo", LineRejection.noColon), (":1|c", .emptyName), ("foo:1", .noType), ("foo:1|", .noType),
            ("foo:|c", .badValue), ("foo:::|c", .badValue), ("foo:abc|c", .badValue), ("foo:1x|c", .badValue),
            ("foo:1|x", .badType), ("foo:1|m", .badType), ("foo:1|cc", .badType), ("foo:1|C", .badType),
            ("foo:1|c|@0", .badRate), ("foo:1|c|@2", .badRate), ("foo:1|c|@-1", .badRate), ("foo:1|c|@", .badRate),
            ("foo:1|c|@ 0.1", .badRate), ("foo:1|c|@+0.1", .badRate), ("foo:1|c|@0x1", .badRate),
            ("foo:1|c|@inf", .badRate), ("foo:1|c|@nan", .badRate), ("foo:1|ms|@1e-9", .badRate),
            ("foo:1|c|@0.1x", .badRate), ("foo:NaN|c", .notANumber), ("foo:nan|g", .notANumber),
            ("foo:-Inf|g", .notANumber), ("foo:Infinity|ms", .notANumber), ("foo:\u{221e}|g", .badValue),
            ("foo:1e999|g", .badValue), ("foo:0x10|c", .badValue), ("foo: 5|c", .badValue), ("foo:5 |c", .badValue),
            ("foo:1_0|c", .badValue), ("foo:-1|c", .negativeCounter), ("foo:1:-1|c", .negativeCounter),
            ("foo:-1|ms", .badValue), ("foo:--1|g", .badValue), ("foo:1:x:3|ms", .badValue), ("foo:|s", .badValue),
            ("foo:1|c:2|q", .badType), ("foo:1|c:2", .noType), ("foo:.|c", .badValue), ("foo:1e|c", .badValue),
            ("_e{5,4}:title|tex", .badValue), ("_e{,4}:title|text", .badValue), ("_e{5,4}title", .badValue),
            ("_sc|name|4", .badValue), ("_sc|name", .badValue), ("_sc||0", .badValue),
        ])
    func rejects(line: String, reason: LineRejection) {
        #expect(readAll(Array(line.utf8)).map(\.outcome) == [.rejected(reason)], "\(line)")
    }

    @Test("Events and service checks are taken for what they are")
    func specials() {
        let text = """
            _e{5,4}:title|text
            _e{5,4}:title|text|#a:b|t:error
            _sc|db.up|0
            _sc|db.up|2|#a:b|m:down
            """
        let outcomes = readAll(Array(text.utf8)).map(\.outcome)
        #expect(outcomes == [.event, .event, .serviceCheck, .serviceCheck])
    }

    @Test("Each line of a datagram stands for itself")
    func isolation() {
        let read = readAll(Array("\n\na:1|c\r\nbroken\n\r\nb:2|g|#x:y,z\nc:3|q\nd:4|h\n".utf8))
        #expect(
            read == [
                ReadLine(name: "a", samples: ["counter 1.0"], outcome: .line),
                ReadLine(outcome: .rejected(.noColon)),
                ReadLine(name: "b", tags: "x:y,z", samples: ["gauge 2.0"], outcome: .line),
                ReadLine(outcome: .rejected(.badType)),
                ReadLine(name: "d", samples: ["histogram 4.0"], outcome: .line),
            ])
    }

    @Test("A line as long as the limit is read, a longer one is rejected, and the next one is not harmed")
    func length() {
        let tail = ":1|c"
        let longest = String(repeating: "n", count: Limits.lineBytes - tail.utf8.count) + tail
        let outcomes = readAll(Array("\(longest)\nn\(longest)\na:1|c".utf8)).map(\.outcome)
        #expect(outcomes == [.line, .rejected(.lineTooLong), .line])
        let many = "a" + String(repeating: ":1", count: (Limits.lineBytes - 3) / 2) + "|c"
        #expect(readAll(Array(many.utf8)).first?.samples.count == (Limits.lineBytes - 3) / 2)
    }

    @Test(
        "A signed gauge is a change only where nothing speaks for DogStatsD or Micrometer",
        arguments: [
            ("g:-5|g", "gauge by -5.0"), ("g:+5|g", "gauge by 5.0"), ("g:-5|g|#a:b", "gauge -5.0"),
            ("g:-5|g|c:x", "gauge -5.0"), ("g:-5|g|T1", "gauge -5.0"), ("g,statistic=value:-5|g", "gauge -5.0"),
            ("g,a=b:-5|g", "gauge by -5.0"), ("g:5|g", "gauge 5.0"), ("g:-5|g|#", "gauge -5.0"),
        ])
    func signs(line: String, sample: String) {
        #expect(readAll(Array(line.utf8)).first?.samples == [sample])
        #expect(readAll(Array("g:-5|g".utf8), policy: .level).first?.samples == ["gauge -5.0"])
        #expect(readAll(Array("g:-5|g|#a:b".utf8), policy: .change).first?.samples == ["gauge by -5.0"])
    }

    @Test("Skipped fields and ignored rates are counted")
    func counts() {
        var reader = StatsDReader()
        let text = Array("a:1|c|c:x|e:y|card:low|T5\nb:1|g|@0.5\nc:1|c|zzz|Tx\nd:-1|g\ne:-1|g|#x".utf8)
        text.withUnsafeBytes { bytes in
            reader.begin(bytes)
            while reader.next() != .end {}
        }
        let counts = [
            reader.containerFields, reader.externalDataFields, reader.cardinalityFields, reader.explicitTimestamps,
            reader.unknownFields, reader.ignoredRates, reader.signedGaugeChanges,
            reader.signedGaugeLevels,
        ]
        #expect(counts == [1, 1, 1, 1, 2, 1, 1, 1])
    }

    @Test("A datagram cut at any byte or with any byte flipped is read to its end")
    func cutsAndFlips() {
        let whole = Array(
            "a.b:1.5e2:-2|ms|@0.25|#k:v,w\nc:+3|g:4|c|@0.5\n_e{2,3}:ab|cde\n_sc|x|1\nu:m\u{e9}|s|T12|card:low\r\n".utf8)
        for length in 0...whole.count { _ = readAll(Array(whole.prefix(length))) }
        for index in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[index] ^= 1 << UInt8(bit)
                #expect(readAll(damaged).count <= 16)
            }
        }
    }

    @Test("Decimal text reads as the standard library reads it")
    func decimals() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            let digits = Int.random(in: 1...20, using: &generator)
            var text = (0..<digits).map { _ in String(Int.random(in: 0...9, using: &generator)) }.joined()
            if Bool.random(using: &generator) {
                let place = text.index(text.startIndex, offsetBy: Int.random(in: 0...digits, using: &generator))
                text.insert(".", at: place)
            }
            if Int.random(in: 0..<4, using: &generator) == 0 {
                text += "e\(Int.random(in: -30...30, using: &generator))"
            }
            // Swift takes neither ".5" nor "5.".
            var standard = "0" + text
            if let point = standard.firstIndex(of: ".") {
                let next = standard.index(after: point)
                if next == standard.endIndex || standard[next] == "e" { standard.remove(at: point) }
            }
            guard let expected = Double(standard) else {
                Issue.record("no reference for \(text)")
                return
            }
            #expect(readAll(Array("a:\(text)|g".utf8)).first?.samples == ["gauge \(expected)"], "\(text)")
        }
    }
}

/// A small generator whose sequence depends on its seed alone.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
