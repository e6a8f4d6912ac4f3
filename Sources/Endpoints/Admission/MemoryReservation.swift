internal import Synchronization

/// What one request holds of the memory budget, from its head until its answer is written.
package final class MemoryReservation: Sendable {
    /// How much memory a body takes on its way into the store, by its bytes as sent.
    package enum Weight: Sendable {
        /// Read and nothing else.
        case body
        /// Decoded: the body, and the rows made of it.
        case decoded
        /// Inflated first.
        case inflated
    }

    /// Why more was not given.
    package enum Refusal: Error, Sendable {
        /// The budget is used up.
        case memory
        /// Other tenants wait, and this one has its share.
        case share
    }

    private let budget: MemoryBudget
    private let weight: Weight
    private let tenant: TenantMeter?
    /// Below zero once released.
    private let held = Atomic<Int>(0)
    /// The budget measures how long this one waits.
    private let isFollowed = Atomic<Bool>(false)

    /// - Parameter tenant: nil: nobody's share is looked at.
    package init(_ budget: MemoryBudget, weight: Weight, tenant: TenantMeter? = nil) {
        self.budget = budget
        self.weight = weight
        self.tenant = tenant
    }

    /// For a request that no endpoint has looked at.
    package convenience init(_ budget: MemoryBudget) { self.init(budget, weight: .body) }

    /// Takes what a body of so many bytes as sent needs; keeps at least what it has.
    package func cover(body: Int) -> Refusal? { raise(to: weight.bytes(body: body, most: mostBytes)) }

    /// Admits a request whose length is not known yet.
    func coverUnknown() -> Refusal? { raise(to: Weight.firstBytes) }

    package var tenantName: String? { tenant?.name }
    package var heldBytes: Int { max(held.load(ordering: .relaxed), 0) }
    /// Of a body, as sent and inflated.
    var bodyLimit: Int { budget.bodyBytes }
    private var mostBytes: Int { Weight.most(body: budget.bodyBytes) }

    /// The plain bytes whose inflation is paid for already.
    var plainAllowance: Int {
        let bytes = max(held.load(ordering: .relaxed), 0)
        return bytes >= mostBytes ? .max : bytes / Weight.plainFactor
    }

    /// Takes what a body of so many plain bytes needs, whatever it has; gives back what is too much.
    func settle(plain: Int) -> Refusal? {
        let wanted = Weight.decoded.bytes(body: plain, most: mostBytes)
        let bytes = held.load(ordering: .relaxed)
        if wanted >= bytes { return raise(to: wanted) }
        if bytes > 0, held.compareExchange(expected: bytes, desired: wanted, ordering: .relaxed).exchanged {
            giveBack(bytes &- wanted)
        }
        return nil
    }

    /// The request is decoded and waits for the store from now on until ``release()``.
    package func waitForStore() { if budget.waitBegan() { isFollowed.store(true, ordering: .relaxed) } }

    /// Gives all back. Nothing can be taken afterwards.
    package func release() {
        if isFollowed.exchange(false, ordering: .relaxed) { budget.waitEnded() }
        let bytes = held.exchange(Self.released, ordering: .relaxed)
        if bytes > 0 { giveBack(bytes) }
    }

    deinit { release() }

    private static let released = Int.min / 2

    private func giveBack(_ count: Int) {
        budget.release(count)
        tenant?.reserved.subtract(count, ordering: .relaxed)
    }

    private func raise(to wanted: Int) -> Refusal? {
        let bytes = held.load(ordering: .relaxed)
        guard bytes >= 0 else { return .memory }
        guard wanted > bytes else { return nil }
        let count = wanted &- bytes
        if let refusal = take(count, isNew: bytes <= Weight.firstBytes) { return refusal }
        if held.add(count, ordering: .relaxed).newValue < 0 {
            // Released meanwhile.
            giveBack(count)
            return .memory
        }
        return nil
    }

    private func take(_ count: Int, isNew: Bool) -> Refusal? {
        guard let tenant else { return budget.reserve(count, isNew: false) ? nil : .memory }
        let total = tenant.reserved.add(count, ordering: .relaxed).newValue
        // Alone a tenant may have everything that new requests may have. Beside others it has its share, for which
        // there is room above the mark; more than that while seven eighths are free, or while it holds less than
        // others on the average.
        let capacity = budget.capacity
        let held = budget.reservedBytes
        let share = tenant.share(of: max(capacity, held))
        var refusal: Refusal?
        if isNew, let share, total > share, total > count, held > capacity / 8 {
            refusal = .share
        } else if !budget.reserve(count, isNew: isNew && share == nil) {
            refusal = .memory
        }
        if refusal != nil { tenant.reserved.subtract(count, ordering: .relaxed) }
        return refusal
    }
}

extension MemoryReservation.Weight {
    /// What a request holds at most when bodies are so large, so that one of any size fits the smallest budget.
    static func most(body: Int) -> Int { min(body.multipliedCapped(by: plainFactor), 64 << 20) }
    /// What a request of unknown length takes first.
    static let firstBytes = 64 << 10
    /// A plain body and what is decoded from it; measured, see DECISIONS.md.
    static let plainFactor = 4
    /// A compressed body is taken for a tenth of its plain size, and is counted anew when it is inflated.
    static let compressedFactor = 40

    func bytes(body: Int, most: Int) -> Int {
        switch self {
        case .body: body
        case .decoded: min(body.multipliedCapped(by: Self.plainFactor), most)
        case .inflated: min(body.multipliedCapped(by: Self.compressedFactor), most)
        }
    }
}
