/// The labels of one series, sorted by name, none empty.
struct LabelSet: Hashable, Sendable {
    struct Label: Hashable, Sendable {
        var name: String
        var value: String
    }

    private(set) var labels: [Label]

    static let empty = LabelSet(labels: [])

    private init(labels: [Label]) { self.labels = labels }

    /// In any order; an empty value is no label.
    init(_ pairs: [(name: String, value: String)]) {
        labels = pairs.filter { !$0.value.isEmpty }.map { Label(name: $0.name, value: $0.value) }
        labels.sort { $0.name < $1.name }
    }

    /// Empty when there is no such label.
    subscript(_ name: String) -> String {
        get { labels.first { $0.name == name }?.value ?? "" }
        set {
            labels.removeAll { $0.name == name }
            guard !newValue.isEmpty else { return }
            let place = labels.firstIndex { $0.name > name } ?? labels.count
            labels.insert(Label(name: name, value: newValue), at: place)
        }
    }

    func keeping(_ names: Set<String>) -> LabelSet { LabelSet(labels: labels.filter { names.contains($0.name) }) }
    func dropping(_ names: Set<String>) -> LabelSet { LabelSet(labels: labels.filter { !names.contains($0.name) }) }

    var withoutName: LabelSet { LabelSet(labels: labels.filter { $0.name != "__name__" }) }

    var pairs: [(name: String, value: String)] { labels.map { ($0.name, $0.value) } }

    /// As `{a="b", c="d"}` for error messages.
    var description: String {
        "{" + labels.map { "\($0.name)=\($0.value.promQuoted)" }.joined(separator: ", ") + "}"
    }

    static func precedes(_ left: LabelSet, _ right: LabelSet) -> Bool {
        for (one, other) in zip(left.labels, right.labels) where one != other {
            return one.name != other.name ? one.name < other.name : one.value < other.value
        }
        return left.labels.count < right.labels.count
    }
}
