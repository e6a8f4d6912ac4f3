internal import Yams

/// What a configuration file says: texts by setting name, with the line each stands on.
///
/// One YAML mapping with the flags' names as keys. Scalars are taken as text, so `statsd: off` is the word. A
/// repeatable setting may be a sequence. Everything else is an error that names its line.
struct ConfigurationFile {
    struct Entry: Hashable {
        var texts: [String]
        var line: Int
    }

    private(set) var entries: [String: Entry] = [:]

    /// - Parameter path: for error texts only.
    init(_ text: String, path: String) throws(StartFailure) {
        let root = try Self.compose(text, path)
        guard let root else { return }
        guard case .mapping(let mapping) = root else {
            throw Self.fault(path, root, "must be a mapping of settings, such as `http: 127.0.0.1:8400`")
        }
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else { throw Self.fault(path, key, "a key must be a setting's name") }
            guard let setting = Setting.named(scalar.string) else {
                throw Self.fault(path, key, Self.unknown(scalar.string))
            }
            let texts = try Self.texts(value, of: setting, path)
            entries[setting.name] = Entry(texts: texts, line: value.mark?.line ?? key.mark?.line ?? 0)
        }
    }

    private static func compose(_ text: String, _ path: String) throws(StartFailure) -> Node? {
        do {
            return try Yams.compose(yaml: text)
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

    private static func texts(_ node: Node, of setting: Setting, _ path: String) throws(StartFailure) -> [String] {
        switch node {
        case .scalar(let scalar): return [scalar.string]
        case .sequence(let sequence) where setting.isRepeatable:
            var texts: [String] = []
            for item in sequence {
                guard case .scalar(let scalar) = item else {
                    throw fault(path, item, "\(setting.name) \(setting.form)")
                }
                texts.append(scalar.string)
            }
            return texts
        default: throw fault(path, node, "\(setting.name) \(setting.form)")
        }
    }

    private static func unknown(_ name: String) -> String {
        let nearest = Suggestion.nearest(to: name, among: Setting.all.map(\.name))
        return "unknown setting '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? "")
    }

    private static func fault(_ path: String, _ node: Node, _ text: String) -> StartFailure {
        StartFailure(.configuration, "\(path):\(node.mark?.line ?? 0): \(text)")
    }
}
