internal import Bytes
internal import QueryEngine
internal import Telemetry
internal import WireFormats

/// Small languages that people and programs write: patterns, tokens, headers, rules.
extension FuzzTarget {
    /// A pattern, a zero, a text. An error points into the pattern, and time grows with pattern times text only.
    static let regex = FuzzTarget(
        name: "regex",
        seeds: {
            [
                "(a+)+$\0aaaaaaaaaaaaaaaaaaaaaaaa!", #"(?P<x>[^\d-f]{2,3}|\bz?)*?\x41"# + "\0zz1-A", "(?i)É|ß.$\0éSS",
                #"^[[:alpha:]\p{L}\w]+?(?:x|y){0,7}$"# + "\0abcxyx", "(|a)*\0aaa", "[]a]\\Q\0]",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let end = input.firstIndex(of: 0) ?? input.endIndex
            let pattern = String(decoding: input[..<end], as: UTF8.self)
            let text = String(decoding: input[end...].prefix(512), as: UTF8.self)
            for isAnchored in [true, false] {
                do throws(RegexError) {
                    let regex = try LinearRegex(pattern, anchored: isAnchored)
                    guard let match = regex.firstMatch(in: text) else { continue }
                    guard match.groups.count == regex.groupCount + 1 else { return "groups are missing" }
                    guard let whole = match.groups[0] else { return "a match without its text" }
                    if isAnchored, whole != text { return "anchored, and only a part" }
                } catch {
                    let count = pattern.unicodeScalars.count
                    guard (0...count).contains(error.offset) else { return "offset \(error.offset) of \(count)" }
                }
            }
            return nil
        })

    static let accept = FuzzTarget(
        name: "accept",
        seeds: {
            [
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                "application/vnd.google.protobuf;proto=\"io.prometheus.client.MetricFamily\";encoding=delimited",
                "gzip;q=0, x-gzip ; q=1.0,,;", "text/*", "*/*;q=1e-400",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let header = String(decoding: input, as: UTF8.self)
            let answer = ScrapeNegotiation(accept: header, acceptEncoding: header)
            return answer.contentType.utf8.allSatisfy { (0x20...0x7e).contains($0) } ? nil : "no header: \(answer)"
        })

    static let pageToken = FuzzTarget(
        name: "page-token",
        seeds: {
            let id = TraceID(high: .max, low: 1)
            return [TraceOrder.newestFirst, .longestFirst].map {
                Array(PageToken(order: $0, fingerprint: 7, key: .init(value: .max, traceID: id)).text.utf8)
            }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            guard let token = PageToken(text: text) else { return nil }
            return token.text == text.lowercased() ? nil : "reads as another token"
        })

    static let tokenFile = FuzzTarget(
        name: "token-file",
        seeds: {
            let digest = AccessToken.digest(of: "crst_x").hex
            return [
                "# people\nname=a scopes=ingest,query tenant=t sha256=\(digest)\n\nname=b.c scopes=admin sha256=\(digest.reversed())",
                "name=a scopes=scrape token=crst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            do throws(TokenFile.Fault) {
                let file = try TokenFile(text)
                let again = try TokenFile(file.entries.map(\.line).joined(separator: "\n"))
                guard again.entries.map(\.line) == file.entries.map(\.line) else { return "changes when written" }
            } catch {
                if "\(error)".contains(AccessToken.prefix) { return "an error quotes a token" }
            }
            let redacted = Redaction.redacted(text)
            return Redaction.redacted(redacted) == redacted ? nil : "redacted twice is different"
        })

    /// A rule's match, its templates and a line; then the same as a step of relabelling.
    static let mappingRule = FuzzTarget(
        name: "mapping-rule",
        seeds: {
            [
                "shop.*.orders\norders_$1\n${1}x$$\nshop.north.orders:1|c|#a:b", "*\n$1\n\nx:1|g",
                "^(?P<a>\\w+)\\.(b)?\n${a}_$2\n$a\ncart.b.total:5|ms|#le:0.5,phi:x", "(.*)\nx:$1\n__name__\n__tmp:3|h",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let lines = input.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false).map(Array.init)
            guard lines.count == 4 else { return nil }
            let texts = lines.map { String(decoding: $0, as: UTF8.self) }
            for style in [MappingRule.Style.glob, .regex] {
                var rules = MappingRules()
                if var rule = try? MappingRule(texts[0], style: style, place: "p") {
                    rule.name = try? MappingTemplate(texts[1], groupNames: rule.groupNames)
                    if let value = try? MappingTemplate(texts[2], groupNames: rule.groupNames) {
                        rule.labels = [("label", value)]
                    }
                    rules.add([rule])
                }
                rules.relabelling = RelabelRule.Action.allCases.compactMap { action in
                    try? RelabelRule(
                        action, sourceLabels: ["__name__", "a"], separator: ";", regex: texts[0],
                        targetLabel: texts[2], replacement: texts[1], place: "p")
                }
                if let defect = translate(lines[3], LineTranslator(rules: rules)) { return defect }
            }
            return nil
        })
}

private func translate(_ line: [UInt8], _ translator: LineTranslator) -> String? {
    line.withUnsafeBytes { bytes in
        var reader = StatsDReader()
        reader.begin(bytes)
        guard reader.next() == .line, let identity = try? StatsDIdentity(name: reader.name, tags: reader.tags) else {
            return nil
        }
        for kind in MetricKind.allCases {
            if case .series(let named) = translator.translate(identity, kind: kind), named.name.isEmpty {
                return "a series without a name"
            }
        }
        return nil
    }
}
