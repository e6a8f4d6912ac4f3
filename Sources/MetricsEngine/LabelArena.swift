/// Memory for label texts, in chunks that are never moved. What is given back is handed out again to a text of
/// about the same length.
struct LabelArena: ~Copyable {
    private static let chunkBytes = 256 << 10
    private static let step = 8

    private var chunks: [UnsafeMutableRawPointer] = []
    /// The free rest of the last chunk.
    private var chunk: UnsafeMutableRawPointer?
    private var chunkRoom = 0
    /// By length in steps.
    private var free: [[UnsafeMutableRawPointer]] = []

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Memory for `bytes` and at most seven more.
    private static func steps(_ bytes: Int) -> Int { max((bytes + step - 1) / step, 1) }

    mutating func store(_ text: [UInt8]) -> UnsafeMutableRawPointer {
        let place = take(Self.steps(text.count))
        text.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { place.copyMemory(from: base, byteCount: bytes.count) }
        }
        return place
    }

    private mutating func take(_ steps: Int) -> UnsafeMutableRawPointer {
        if steps < free.count, let place = free[steps].popLast() { return place }
        let needed = steps * Self.step
        let place: UnsafeMutableRawPointer
        if let current = chunk, needed <= chunkRoom {
            place = current
        } else {
            chunkRoom = max(Self.chunkBytes, needed)
            place = .allocate(byteCount: chunkRoom, alignment: 16)
            chunks.append(place)
        }
        chunk = place + needed
        chunkRoom -= needed
        return place
    }

    /// Takes a text's memory back. Nobody may read it afterwards.
    mutating func giveBack(_ place: UnsafeMutableRawPointer, bytes: Int) {
        let steps = Self.steps(bytes)
        while free.count <= steps { free.append([]) }
        free[steps].append(place)
    }
}
