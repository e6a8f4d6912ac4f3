/// A growable run of plain values for the encoder's inner loops: one owner, no copy on write, reused between blocks.
struct GrowingBuffer<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int = 256) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    @inline(__always)
    mutating func append(_ element: Element) {
        if count == capacity { grow(to: count + 1) }
        base[count] = element
        count += 1
    }

    @inline(__always)
    mutating func append(_ source: UnsafePointer<Element>, count added: Int) {
        if capacity - count < added { grow(to: count + added) }
        (base + count).update(from: source, count: added)
        count += added
    }

    @inline(__always)
    mutating func append(repeating element: Element, count added: Int) { resize(to: count + added, filler: element) }

    @inline(__always)
    mutating func removeAll() { count = 0 }

    /// Sets the count, filling new places with `filler`.
    mutating func resize(to size: Int, filler: Element) {
        if capacity < size { grow(to: size) }
        if size > count { (base + count).update(repeating: filler, count: size - count) }
        count = size
    }

    var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(buffer) }

    private mutating func grow(to least: Int) {
        let larger = max(least, capacity * 2)
        let target = UnsafeMutablePointer<Element>.allocate(capacity: larger)
        target.update(from: base, count: count)
        base.deallocate()
        base = target
        capacity = larger
    }
}
