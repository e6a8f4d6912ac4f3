internal import Telemetry

/// Attributes of a merge, taken over by the run of owners: a cell is looked up or copied, no string is read twice.
extension AttributeColumns {
    /// Appends the attributes of consecutive owners and returns the bytes of their values. All columns of the source
    /// must have been reserved.
    ///
    /// - Parameter keys: maps the keys of the source's tables to ours.
    mutating func append(
        _ owners: Range<Int>, of source: OwnerColumns, _ known: inout OwnerTranslation, keys: UnsafePointer<UInt32>
    ) -> Int {
        let cells = source.cells.base
        let shapeOf = source.shapeOf.base
        let shapeStarts = source.shapeStarts.base
        let shapeColumns = source.shapeColumns.base
        let targets = known.targets.base
        let values = known.values.base
        var cell = Int(source.starts.base[owners.lowerBound])
        var bytes = 0
        for owner in owners {
            let shape = Int(shapeOf[owner])
            var place = known.shapes.base[shape]
            if !place.isKnown { place = add(shape: shape, of: source, &known, keys: keys) }
            shapes.append(index: place.index, size: place.size)
            for column in Int(shapeStarts[shape])..<Int(shapeStarts[shape + 1]) {
                let column = Int(shapeColumns[column])
                let target = targets + column
                let value = cells[cell]
                cell &+= 1
                if let text = target.pointee.text {
                    let index = Int(truncatingIfNeeded: value)
                    var entry = values[index]
                    if !entry.isKnown {
                        entry = Self.add(source.value(index), to: &text.pointee)
                        values[index] = entry
                    }
                    text.pointee.append(index: entry.index, size: entry.size)
                    bytes &+= entry.size
                } else if let numbers = target.pointee.numbers {
                    numbers.pointee.append(value)
                }
            }
        }
        return bytes
    }

    @inline(never)
    private static func add(_ value: UnsafeRawBufferPointer, to column: inout StringInterner) -> KnownText {
        // The source's buffer is never without memory.
        guard let start = value.baseAddress else { return .none }
        return KnownText(index: column.index(of: start, value.count), size: value.count)
    }

    /// Takes over a shape with its columns.
    private mutating func add(
        shape: Int, of source: OwnerColumns, _ known: inout OwnerTranslation, keys: UnsafePointer<UInt32>
    ) -> KnownText {
        var columns = GrowingBuffer<UInt16>(capacity: 16)
        for place in Int(source.shapeStarts.base[shape])..<Int(source.shapeStarts.base[shape + 1]) {
            let column = Int(source.shapeColumns.base[place])
            if !known.targets.base[column].isKnown {
                known.targets.base[column] = target(of: source.columns[column], keys: keys)
            }
            columns.append(known.targets.base[column].place)
        }
        let index = shapes.index(of: columns.base, columns.count * 2)
        let entry = KnownText(index: index, size: columns.count * 2)
        known.shapes.base[shape] = entry
        return entry
    }

    private mutating func target(of source: OwnerColumns.Column, keys: UnsafePointer<UInt32>) -> OwnerTranslation.Target
    {
        let column = reservedColumn(keys[source.key], source.type.rawValue)
        var target = OwnerTranslation.Target()
        target.isKnown = true
        target.place = UInt16(truncatingIfNeeded: column)
        switch source.type {
        case .string, .bytes, .array, .map: target.text = strings[column]
        case .bool, .int, .double: target.numbers = integers[column]
        case .empty: break
        }
        return target
    }
}
