/// The line that tells on stdout that the daemon is ready, with the real address of every listener.
package struct ReadyLine: Hashable, Sendable {
    /// Every listener in order; no addresses: `off`.
    package var listeners: [(name: String, addresses: [String])]

    package init(listeners: [(name: String, addresses: [String])]) { self.listeners = listeners }

    /// `crestd ready http=127.0.0.1:8400 ... crest-udp=off`
    package var text: String {
        "crestd ready " + listeners.map { "\($0.name)=\(value($0.addresses))" }.joined(separator: " ")
    }

    /// `{"event":"crestd ready","listeners":{"http":"127.0.0.1:8400",...}}`
    package var json: String {
        let members = listeners.map { "\(jsonString($0.name)):\(jsonString(value($0.addresses)))" }
        return "{\"event\":\"crestd ready\",\"listeners\":{\(members.joined(separator: ","))}}"
    }

    /// Several addresses of one listener are separated by commas.
    private func value(_ addresses: [String]) -> String { addresses.isEmpty ? "off" : addresses.joined(separator: ",") }

    package static func == (left: ReadyLine, right: ReadyLine) -> Bool { left.text == right.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// A JSON string literal. Everything below 0x20 is escaped, so that one text is one line.
func jsonString(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": out += "\\\""
        case "\\": out += "\\\\"
        case "\n": out += "\\n"
        default:
            if scalar.value < 0x20 || scalar.value == 0x7F {
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
    }
    return out + "\""
}
