internal import MetricsEngine
internal import Telemetry

/// Where a batch has the attributes that tell what became of a request.
struct SpanRequestKeys {
    private let batch: SpanBatch
    /// Numbers of keys; as many as a batch has, which is few.
    private let methods: [Int]
    private let statuses: [Int]

    init(_ batch: SpanBatch) {
        self.batch = batch
        func numbers(_ names: [String]) -> [Int] {
            let wanted = names.map { Array($0.utf8) }
            return batch.keys.indices.filter { index in wanted.contains { batch.slice(batch.keys[index], equals: $0) } }
        }
        methods = numbers(["http.request.method", "http.method"])
        statuses = numbers(["http.response.status_code", "http.status_code"])
    }

    /// Whether a span says the same of its request as the labels of a series do.
    /// - Parameter method: as the span's name begins.
    func agree(_ span: SpanRow, _ target: SpanTarget, method: UnsafeRawBufferPointer?) -> Bool {
        if let wanted = target.method {
            let sent = text(of: span, methods) ?? method.map { Array($0) }
            guard let sent, sent.elementsEqual(wanted, by: { $0 & 0xdf == $1 & 0xdf }) else { return false }
        }
        if let wanted = target.status {
            guard let sent = text(of: span, statuses), sent == wanted else { return false }
        }
        return true
    }

    private func text(of span: SpanRow, _ keys: [Int]) -> [UInt8]? {
        guard !keys.isEmpty else { return nil }
        for row in batch.attributes[span.attributes] where keys.contains(row.key) {
            switch row.type {
            case .string: return Array(batch.bytes(row.slice))
            case .int: return Array("\(Int64(bitPattern: row.payload))".utf8)
            default: continue
            }
        }
        return nil
    }
}
