internal import WireFormats
internal import Yams

/// A node of a YAML file with the path it came from, so that every complaint says where.
struct YAMLNode {
    private let node: Node
    private let path: String

    /// Nil for an empty file.
    static func compose(_ text: String, _ path: String) throws(StartFailure) -> YAMLNode? {
        do {
            return try Yams.compose(yaml: text).map { YAMLNode(node: $0, path: path) }
        } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _)
        {
            throw StartFailure(.configuration, "\(path):\(mark.line): \(problem)")
        } catch YamlError.duplicatedKeysInMapping(let duplicates, let context) {
            let names = duplicates.joined(separator: ", ")
            throw StartFailure(.configuration, "\(path):\(context.mark.line): set more than once: \(names)")
        } catch {
            throw StartFailure(.configuration, "\(path): \(error)")
        }
    }

    /// File and line.
    var place: String { "\(path):\(node.mark?.line ?? 0)" }

    func fault(_ text: String) -> StartFailure { StartFailure(.configuration, "\(place): \(text)") }

    /// A scalar as text, whatever YAML would make of it.
    func text() throws(StartFailure) -> String {
        guard case .scalar(let scalar) = node else { throw fault("must be a text") }
        return scalar.string
    }

    func number() throws(StartFailure) -> Double {
        let text = try text()
        if ["+Inf", ".inf", "+.inf", "Inf"].contains(text) { return .infinity }
        guard let value = Double(text) else { throw fault("'\(text)' must be a number") }
        return value
    }

    func boolean() throws(StartFailure) -> Bool {
        guard let value = ["true": true, "false": false][try text()] else { throw fault("must be true or false") }
        return value
    }

    func items() throws(StartFailure) -> [YAMLNode] {
        guard case .sequence(let sequence) = node else { throw fault("must be a list") }
        return sequence.map { YAMLNode(node: $0, path: path) }
    }

    func pairs() throws(StartFailure) -> [(key: YAMLNode, value: YAMLNode)] {
        guard case .mapping(let mapping) = node else { throw fault("must be a mapping of keys to values") }
        return mapping.map { (YAMLNode(node: $0.key, path: path), YAMLNode(node: $0.value, path: path)) }
    }

    /// A mapping whose keys are all among `known`.
    func fields(_ known: [String]) throws(StartFailure) -> [String: YAMLNode] {
        var fields: [String: YAMLNode] = [:]
        for (key, value) in try pairs() {
            let name = try key.text()
            guard known.contains(name) else {
                let nearest = Suggestion.nearest(to: name, among: known)
                throw key.fault("unknown key '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
            }
            fields[name] = value
        }
        return fields
    }

    /// What `body` makes of the text; its complaint gets the place.
    func checked<Result>(_ body: (String) throws(MappingError) -> Result) throws(StartFailure) -> Result {
        let text = try text()
        do throws(MappingError) { return try body(text) } catch { throw fault("\(error)") }
    }
}
