/// The text of an error answer: `{"error":{"status":400,"message":"...","parameter":"limit"}}`.
enum ServerError {
    private static let longestPlainText = 500

    /// What the server said, safe to print; nil when it said nothing.
    static func message(in body: [UInt8]) -> String? {
        guard let value = try? JSONParser.parse(body) else { return plain(body) }
        guard let text = value["error"]?["message"]?.text ?? value["error"]?.text ?? value["message"]?.text else {
            return plain(body)
        }
        let parameter = value["error"]?["parameter"]?.text
        return SafeText.escape(parameter.map { text.contains($0) ? text : "\($0): \(text)" } ?? text)
    }

    private static func plain(_ body: [UInt8]) -> String? {
        let text = String(decoding: body.prefix(longestPlainText), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        return line.isEmpty ? nil : SafeText.escape(line)
    }
}
