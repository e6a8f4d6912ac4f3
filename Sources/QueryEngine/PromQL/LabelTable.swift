/// The label sets of one evaluation by number, so that a step of a range query compares numbers and never texts.
struct LabelTable {
    private(set) var sets: [LabelSet] = []
    private var numbers: [LabelSet: Int] = [:]
    private var unnamed: [Int?] = []

    mutating func number(of set: LabelSet) -> Int {
        if let known = numbers[set] { return known }
        sets.append(set)
        unnamed.append(nil)
        numbers[set] = sets.count - 1
        return sets.count - 1
    }

    subscript(_ number: Int) -> LabelSet { sets[number] }

    mutating func withoutName(_ number: Int) -> Int {
        if let known = unnamed[number] { return known }
        let result = self.number(of: sets[number].withoutName)
        unnamed[number] = result
        return result
    }
}

/// Sorts series into groups by some of their labels; remembers the group of every series it has seen.
struct LabelGrouping {
    private let names: Set<String>
    private let keeps: Bool
    private var groupOfSeries: [Int: Int] = [:]
    private var groupOfLabels: [Int: Int] = [:]
    /// The number of each group's label set.
    private(set) var labels: [Int] = []

    /// - Parameter keeps: the groups are told apart by these labels; else by all others but the name.
    init(_ names: [String], keeps: Bool) {
        self.names = keeps ? Set(names) : Set(names + ["__name__"])
        self.keeps = keeps
    }

    /// The groups are told apart by everything but `le`, the name included.
    static let histograms = LabelGrouping(dropping: ["le"])

    private init(dropping names: Set<String>) {
        self.names = names
        keeps = false
    }

    var count: Int { labels.count }

    mutating func group(of series: Int, in table: inout LabelTable) -> Int {
        if let known = groupOfSeries[series] { return known }
        let set = table[series]
        let number = table.number(of: keeps ? set.keeping(names) : set.dropping(names))
        let group = groupOfLabels[number] ?? labels.count
        if group == labels.count {
            labels.append(number)
            groupOfLabels[number] = group
        }
        groupOfSeries[series] = group
        return group
    }
}
