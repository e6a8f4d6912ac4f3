internal import SegmentStore

extension Configuration {
    /// How long and how much of each class is kept; as it stands nothing differs between classes but pins.
    package struct ClassRules: Hashable, Sendable {
        package enum Age: Hashable, Sendable {
            /// As `retention-age` has it.
            case inherited
            case forever
            /// Nanoseconds.
            case limited(UInt64)
        }

        package var errorsAge = Age.inherited
        package var slowAge = Age.inherited
        package var ordinaryAge = Age.inherited
        /// Nil: no more than `retention-bytes` has it for all together.
        package var errorsBytes: Space?
        package var slowBytes: Space?
        package var ordinaryBytes: Space?
        package var pinnedBytes: Space?
        /// Nanoseconds.
        package var slowThreshold: UInt64 = 1_000_000_000
    }
}

extension Setting {
    static let classRules: [Setting] = [
        age("errors", \.classRules.errorsAge), space("errors", \.classRules.errorsBytes),
        age("slow", \.classRules.slowAge), space("slow", \.classRules.slowBytes),
        age("ordinary", \.classRules.ordinaryAge), space("ordinary", \.classRules.ordinaryBytes),
        space("pinned", \.classRules.pinnedBytes),
        plain("slow-threshold", "1s", "must be a duration such as 500ms or 2s", \.classRules.slowThreshold) { text in
            SettingText.nanoseconds(text).flatMap { $0 > 0 ? $0 : nil }
        } text: {
            SettingText.text(nanoseconds: $0)
        },
    ]

    private static func age(
        _ name: String, _ path: any WritableKeyPath<Configuration, Configuration.ClassRules.Age> & Sendable
    ) -> Setting {
        plain("retention-\(name)-age", "inherit", "must be a duration such as 30d, forever or inherit", path) { text in
            switch text {
            case "inherit": return .inherited
            case "forever": return .forever
            default: return SettingText.nanoseconds(text).flatMap { $0 > 0 ? .limited($0) : nil }
            }
        } text: {
            switch $0 {
            case .inherited: return "inherit"
            case .forever: return "forever"
            case .limited(let age): return SettingText.text(nanoseconds: age)
            }
        }
    }

    private static func space(
        _ name: String, _ path: any WritableKeyPath<Configuration, Configuration.Space?> & Sendable
    ) -> Setting {
        plain("retention-\(name)-bytes", "inherit", "must be a size such as 40GB, a share such as 20% or inherit", path)
        {
            text in
            if text == "inherit" { return .some(nil) }
            return Configuration.Space(text).map { .some($0) }
        } text: {
            $0?.description ?? "inherit"
        }
    }
}

extension RetentionPolicy {
    /// Takes the rules for classes; those that inherit add nothing.
    /// - Parameter bytes: of a space on this file system; nil when that cannot be found out.
    mutating func take(_ rules: Configuration.ClassRules, bytes: (Configuration.Space) -> UInt64?) {
        slowThreshold = rules.slowThreshold
        let all: [(RetentionClass, Configuration.ClassRules.Age, Configuration.Space?)] = [
            (.error, rules.errorsAge, rules.errorsBytes), (.slow, rules.slowAge, rules.slowBytes),
            (.ordinary, rules.ordinaryAge, rules.ordinaryBytes), (.pinned, .inherited, rules.pinnedBytes),
        ]
        for (kind, age, space) in all where age != .inherited || space != nil {
            var budget = ClassBudget(bytes: space.flatMap(bytes))
            switch age {
            case .inherited: break
            case .forever: budget.age = .max
            case .limited(let age): budget.age = age
            }
            classes[kind] = budget
        }
    }
}
