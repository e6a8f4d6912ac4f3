internal import Bytes

/// Writes columns into a block's bytes, choosing for each the encoding that costs least. Owns all scratch memory.
///
/// Source: schemas/disk/segment.md, "Frame", "Integers" and "Strings".
struct ColumnWriter: ~Copyable {
    /// The bytes of the block so far.
    var output: [UInt8] = []
    private let compressor: ZstdCompressor
    private var packed = GrowingBuffer<UInt8>(capacity: 64 << 10)
    private var plane = GrowingBuffer<UInt8>(capacity: 8 << 10)
    private var lengths = GrowingBuffer<UInt64>()
    private var codes = GrowingBuffer<UInt64>()
    private var distinct = GrowingBuffer<UInt64>()
    private var slots = GrowingBuffer<UInt32>()

    init(compressionLevel: Int32) { compressor = ZstdCompressor(level: compressionLevel) }

    mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        output.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func writeFrame(_ plain: UnsafeRawBufferPointer) {
        writeVarint(UInt64(plain.count))
        guard plain.count > 0 else { return writeVarint(0) }
        if plain.count >= SegmentFormat.leastCompressed {
            // Room for one byte less than the plain form: what does not fit is not worth a frame.
            packed.resize(to: plain.count - 1, filler: 0)
            let target = UnsafeMutableRawBufferPointer(start: packed.base, count: plain.count - 1)
            if let size = compressor.compress(plain, into: target) {
                writeVarint(UInt64(size))
                output.append(contentsOf: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(target)[..<size]))
                return
            }
        }
        writeVarint(0)
        output.append(contentsOf: plain)
    }

    mutating func writeRaw(_ values: UnsafeBufferPointer<UInt64>) {
        output.append(ColumnEncoding.raw.rawValue)
        output.append(contentsOf: UnsafeRawBufferPointer(values))
    }

    mutating func writeIntegers(_ values: UnsafeBufferPointer<UInt64>, dictionary: Bool = true) {
        var least = UInt64.max
        var most: UInt64 = 0
        for value in values {
            least = min(least, value)
            most = max(most, value)
        }
        if most == 0 { return output.append(ColumnEncoding.zero.rawValue) }
        if least == most {
            output.append(ColumnEncoding.constant.rawValue)
            return writeVarint(least)
        }
        let width = byteWidth(most - least)
        if dictionary, width > 1, writeIntegerDictionary(values, width: width) { return }
        output.append(ColumnEncoding.planes.rawValue)
        writeVarint(least)
        output.append(UInt8(width))
        for index in 0..<width { writePlane(values, base: least, index) }
    }

    private func byteWidth(_ value: UInt64) -> Int { (71 - value.leadingZeroBitCount) / 8 }

    private mutating func writePlane(_ values: UnsafeBufferPointer<UInt64>, base: UInt64, _ index: Int) {
        plane.resize(to: values.count, filler: 0)
        let target = plane.base
        let shift = UInt64(8 * index)
        for row in 0..<values.count { target[row] = UInt8(truncatingIfNeeded: (values[row] &- base) &>> shift) }
        writeFrame(plane.bytes)
    }

    /// Tries a dictionary; false when planes are as good.
    private mutating func writeIntegerDictionary(_ values: UnsafeBufferPointer<UInt64>, width: Int) -> Bool {
        let limit = min(SegmentFormat.integerDictionary, values.count / 4)
        guard limit >= 2, collectDistinct(values, limit: limit) else { return false }
        guard byteWidth(UInt64(distinct.count - 1)) < width else { return false }
        output.append(ColumnEncoding.integerDictionary.rawValue)
        writeVarint(UInt64(distinct.count))
        writeIntegers(distinct.buffer, dictionary: false)
        writeIntegers(codes.buffer, dictionary: false)
        return true
    }

    private mutating func collectDistinct(_ values: UnsafeBufferPointer<UInt64>, limit: Int) -> Bool {
        let size = SegmentFormat.integerDictionary * 4
        slots.removeAll()
        slots.resize(to: size, filler: 0)
        distinct.removeAll()
        codes.removeAll()
        let table = slots.base
        for row in 0..<values.count {
            let value = values[row]
            var slot = Int(truncatingIfNeeded: keyedHash(0, value)) & (size - 1)
            while table[slot] != 0, distinct.base[Int(table[slot]) - 1] != value { slot = (slot + 1) & (size - 1) }
            if table[slot] == 0 {
                if distinct.count == limit { return false }
                distinct.append(value)
                table[slot] = UInt32(truncatingIfNeeded: distinct.count)
            }
            codes.append(UInt64(table[slot] - 1))
            // Hardly anything repeats: give up before the table is full.
            if row == 1_023, distinct.count > 700 { return false }
        }
        return true
    }

    mutating func writeStrings(_ values: borrowing StringInterner) {
        let distinct = values.distinct
        if distinct <= 1 {
            output.append(ColumnEncoding.constantString.rawValue)
            return writeFrame(values.bytes.bytes)
        }
        if distinct * 10 > values.count * 7, values.count > 16 { return writePlain(values) }
        output.append(ColumnEncoding.stringDictionary.rawValue)
        writeVarint(UInt64(distinct))
        lengths.removeAll()
        var start: UInt32 = 0
        for end in values.ends.buffer {
            lengths.append(UInt64(end - start))
            start = end
        }
        writeIntegers(lengths.buffer, dictionary: false)
        writeFrame(values.bytes.bytes)
        writeCodes(values)
    }

    private mutating func writeCodes(_ values: borrowing StringInterner) {
        codes.removeAll()
        if values.distinct <= SegmentFormat.plainCodes {
            for code in values.codes.buffer { codes.append(UInt64(code)) }
        } else {
            var used: UInt32 = 0
            for code in values.codes.buffer {
                if code == used { used += 1; codes.append(0) } else { codes.append(UInt64(used - code)) }
            }
        }
        writeIntegers(codes.buffer, dictionary: false)
    }

    private mutating func writePlain(_ values: borrowing StringInterner) {
        output.append(ColumnEncoding.plainStrings.rawValue)
        lengths.removeAll()
        for code in values.codes.buffer { lengths.append(UInt64(values.value(Int(code)).count)) }
        writeIntegers(lengths.buffer, dictionary: false)
        if values.distinct == values.count { return writeFrame(values.bytes.bytes) }
        var all = GrowingBuffer<UInt8>(capacity: max(1, values.totalBytes))
        for code in values.codes.buffer {
            let value = values.value(Int(code)).bindMemory(to: UInt8.self)
            if let base = value.baseAddress { all.append(base, count: value.count) }
        }
        writeFrame(all.bytes)
    }
}
