/// The largest or smallest samples of many, with the lowest of them on top. NaN is worse than any value.
///
/// Among equal values the heap decides, as in Prometheus: the top is taken off, then the better one put in.
struct TopHeap {
    private var elements: [PromSample] = []
    private let limit: Int
    /// Keeps the smallest ones.
    private let isBottom: Bool

    init(limit: Int, isBottom: Bool) {
        self.limit = limit
        self.isBottom = isBottom
    }

    mutating func offer(_ sample: PromSample) {
        if elements.count >= limit {
            guard let top = elements.first?.value else { return }
            guard top.isNaN || (isBottom ? top > sample.value : top < sample.value) else { return }
            removeTop()
        }
        elements.append(sample)
        siftUp()
    }

    private mutating func removeTop() {
        elements.swapAt(0, elements.count - 1)
        elements.removeLast()
        siftDown()
    }

    /// The best first.
    var sorted: [PromSample] { PromSorting.sorted(elements, isAscending: isBottom) }

    private func isWorse(_ one: Int, _ other: Int) -> Bool {
        let (left, right) = (elements[one].value, elements[other].value)
        return left.isNaN || (isBottom ? left > right : left < right)
    }

    private mutating func siftUp() {
        var place = elements.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard isWorse(place, parent) else { return }
            elements.swapAt(place, parent)
            place = parent
        }
    }

    private mutating func siftDown() {
        var place = 0
        while true {
            var child = 2 * place + 1
            guard child < elements.count else { return }
            if child + 1 < elements.count, isWorse(child + 1, child) { child += 1 }
            guard isWorse(child, place) else { return }
            elements.swapAt(place, child)
            place = child
        }
    }
}
