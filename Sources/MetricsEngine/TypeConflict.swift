/// A family that could not have its name because a family of another type has it, or puts it on its sample lines.
package struct TypeConflict: Sendable {
    /// The name both want, without `_total`.
    package var name: String
    /// The family that keeps the name, as it is called, and its type.
    package var kept: String
    package var keptKind: MetricFamilyKind
    /// What the later family is called instead, and its type.
    package var renamed: String
    package var renamedKind: MetricFamilyKind
    /// Unix seconds; 0 until the engine's clock has been set.
    package var firstSeenSecond: Int64
    /// Keys as sent that were registered under the other name.
    package var keys: UInt64
    /// What the first of them was: its name as sent, then its labels as a scrape shows them.
    package var exampleName: String
    package var exampleLabels: String
}
