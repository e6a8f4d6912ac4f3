import Telemetry
import WireFormats

/// Reads `input` as a datagram, and takes every name and tag apart.
/// - Returns: the number of lines, so that nothing of it can be optimised away.
func fuzzStatsD(_ input: [UInt8]) -> Int {
    var reader = StatsDReader()
    var lines = 0
    input.withUnsafeBytes { bytes in
        reader.begin(bytes)
        while true {
            let outcome = reader.next()
            if outcome == .end { return }
            lines += 1
            guard outcome == .line else { continue }
            precondition(reader.sampleCount > 0, "a line without samples")
            for sample in reader.samples {
                precondition(sample.value.isFinite && sample.weight >= 1 && sample.weight <= 1_000_001)
                precondition(sample.kind != .counter || sample.value >= 0)
            }
            if let identity = try? StatsDIdentity(name: reader.name, tags: reader.tags) {
                precondition(!identity.name.isEmpty && identity.labels.count <= Limits.tagsPerLine)
            }
        }
    }
    return lines
}
