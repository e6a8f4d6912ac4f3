/// One decoder under fuzzing: seeds to start from and a check that must hold for any input.
///
/// A new target is a file with an extension of this type and a line in ``all``.
struct FuzzTarget: Sendable {
    let name: String
    /// Valid inputs; mutations start from them.
    let seeds: @Sendable () -> [[UInt8]]
    /// Nil when the input was handled as it should be, else what is wrong. A trap ends the process, which is found too.
    let check: @Sendable ([UInt8]) -> String?

    static let all: [FuzzTarget] = [
        .json,
        .otlpProtobuf,
        .otlpJSON,
        .zipkinJSON,
    ]
}
