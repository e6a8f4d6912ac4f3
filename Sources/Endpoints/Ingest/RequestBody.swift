internal import Bytes
internal import Telemetry

/// Why a body could not be had in plain form.
enum BodyError: Error {
    case tooLarge(limit: Int)
    /// The compressed bytes are damaged; the text names the encoding.
    case corrupt(encoding: String)
    case unknownEncoding(String)
    /// There is no memory for what it would become.
    case noRoom
}

extension Request {
    /// The body with its `Content-Encoding` undone, at most ``MemoryBudget/bodyBytes``.
    ///
    /// It is inflated up to what the request's memory was reserved for. The few that become larger than that are
    /// inflated anew when there is memory for the largest.
    /// - Parameter impliesSnappy: the block format of remote write is known, and meant when no encoding is named.
    func plainBody(impliesSnappy: Bool = false) throws(BodyError) -> [UInt8] {
        guard let reservation else { return try plainBody(limit: Limits.bodyBytes, impliesSnappy: impliesSnappy) }
        let largest = reservation.bodyLimit
        let plain: [UInt8]
        do throws(BodyError) {
            let allowance = min(max(reservation.plainAllowance, body.count), largest)
            plain = try plainBody(limit: allowance, impliesSnappy: impliesSnappy)
        } catch .tooLarge(let limit) where limit < largest {
            guard reservation.settle(plain: largest) == nil else { throw .noRoom }
            plain = try plainBody(limit: largest, impliesSnappy: impliesSnappy)
        }
        guard reservation.settle(plain: plain.count) == nil else { throw .noRoom }
        return plain
    }

    private func plainBody(limit: Int, impliesSnappy: Bool) throws(BodyError) -> [UInt8] {
        let encoding = (header("content-encoding") ?? (impliesSnappy ? "snappy" : "")).lowercased()
        let plain: [UInt8]
        do {
            switch encoding {
            case "", "identity": plain = body
            case "snappy" where impliesSnappy:
                let result = body.withUnsafeBytes { bytes in
                    Result { () throws(InflateError) in try snappyInflated(bytes, limit: limit) }
                }
                plain = try result.get()
            case _ where body.isEmpty: plain = []
            case "gzip", "x-gzip": plain = try inflatedBody(.gzip, limit)
            // The collector's exporters call it by both names.
            case "deflate", "zlib": plain = try inflatedBody(.zlib, limit)
            case "zstd":
                // Borrowing the array keeps typed throws out of a closure's way.
                let result = body.withUnsafeBytes { bytes in
                    Result { () throws(InflateError) in try zstdInflated(bytes, limit: limit) }
                }
                plain = try result.get()
            default: throw BodyError.unknownEncoding(encoding)
            }
        } catch let error as InflateError {
            switch error {
            case .malformed: throw .corrupt(encoding: encoding)
            case .tooLarge(let limit): throw .tooLarge(limit: limit)
            }
        } catch {
            throw .unknownEncoding(encoding)
        }
        guard plain.count <= limit else { throw .tooLarge(limit: limit) }
        return plain
    }

    private func inflatedBody(_ framing: DeflateFraming, _ limit: Int) throws(InflateError) -> [UInt8] {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(InflateError) in try inflated(bytes, framing: framing, limit: limit) }
        }
        return try result.get()
    }

    /// The media type without parameters, in lower case; empty when the header is missing.
    var mediaType: String {
        let value = header("content-type") ?? ""
        let bare = value.prefix { $0 != ";" }
        return bare.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed().map { $0.lowercased() }.joined()
    }
}
