internal import WireFormats

/// What gRPC adds to HTTP/2: the framing of a message, the health request, and headers.
extension FuzzTarget {
    /// A message is the same whole and in pieces; nothing is allocated beyond what was reserved.
    static let grpcMessage = FuzzTarget(
        name: "grpc-message",
        seeds: {
            [[0, 0, 0, 0, 3, 1, 2, 3], [1, 0, 0, 0, 0], [0, 0, 0, 4, 1] + [UInt8](repeating: 5, count: 1_025)]
        },
        check: { input in
            let whole = read(input, pieces: [input[...]])
            let cut = input.count / 2
            let halves = read(input, pieces: [input[..<cut], input[cut...]])
            let bytes = read(input, pieces: input.indices.map { input[$0...$0] })
            if whole != halves || whole != bytes { return "another result in pieces" }
            if case .success(let message) = whole, message.count != input.count - 5 { return "bytes left over" }
            return nil
        })

    static let grpcHeaders = FuzzTarget(
        name: "grpc-headers",
        seeds: { [Array("10S".utf8), Array("99999999H".utf8), [10, 3, 97, 98, 99], Array("Grüße %\n".utf8)] },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            if let timeout = GRPCText.timeout(text), timeout < .zero { return "a negative timeout" }
            let encoded = GRPCText.percentEncoded(text)
            guard encoded.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else { return "a byte that is no header's" }
            _ = try? input.withUnsafeBytes { try GRPCHealth.service($0) }
            return nil
        })
}

private func read(_ input: [UInt8], pieces: [ArraySlice<UInt8>]) -> Result<[UInt8], GRPCFramingError> {
    var reader = GRPCMessageReader(limit: 1 << 14)
    var reserved = 0
    return Result { () throws(GRPCFramingError) in
        for piece in pieces {
            let taken = piece.withUnsafeBytes { bytes in
                Result { () throws(GRPCFramingError) in
                    try reader.append(bytes) { count in
                        reserved += count
                        return count <= 1 << 14
                    }
                }
            }
            try taken.get()
        }
        let message = try reader.finish()
        precondition(message.count == reserved, "\(reserved) reserved for \(message.count)")
        return message
    }
}
