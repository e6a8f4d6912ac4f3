internal import Synchronization

extension SimulatedDisk {
    /// What happens to what was not synced.
    package enum Crash: Hashable, Sendable {
        /// The process was killed: everything written stays.
        case kill
        /// Power went, and nothing survives that was not synced.
        case powerLoss
        /// Power went; of what was not synced each sector and each name survives or not as this seed says.
        case tornPowerLoss(seed: UInt64)
    }

    /// The directory as the next start finds it, on a disk of its own. This one stays as it is.
    package func crash(_ kind: Crash) -> SimulatedDisk {
        var random = SeededRandom(seed: 0)
        if case .tornPowerLoss(let seed) = kind { random = SeededRandom(seed: seed) }
        return state.withLock { state in
            var survivors: [String: Node] = [:]
            for name in Set(state.names.keys).union(state.durable.keys).sorted() {
                if let node = survivor(state.names[name], state.durable[name], kind, &random) { survivors[name] = node }
            }
            var copies: [ObjectIdentifier: Node] = [:]
            var options = Options()
            options.capacity = state.options.capacity
            options.countsPreallocated = state.options.countsPreallocated
            let next = SimulatedDisk(options)
            next.state.withLock { fresh in
                fresh.directories = state.directories
                for name in survivors.keys.sorted() {
                    guard let node = survivors[name] else { continue }
                    let copy = copies[ObjectIdentifier(node)] ?? copied(node, kind, &random)
                    copies[ObjectIdentifier(node)] = copy
                    fresh.names[name] = copy
                    fresh.durable[name] = copy
                }
            }
            return next
        }
    }

    private func survivor(_ now: Node?, _ durable: Node?, _ kind: Crash, _ random: inout SeededRandom) -> Node? {
        switch kind {
        case .kill: now
        case .powerLoss: durable
        case .tornPowerLoss: now === durable || random.oneIn(2) ? now : durable
        }
    }

    private func copied(_ node: Node, _ kind: Crash, _ random: inout SeededRandom) -> Node {
        let (bytes, synced, reserved) = node.content.withLock { ($0.bytes, $0.syncedCount, $0.preallocatedEnd) }
        let copy = Node()
        var kept = bytes
        switch kind {
        case .kill: break
        case .powerLoss: kept.removeSubrange(synced...)
        case .tornPowerLoss:
            let size = synced + (random.oneIn(3) ? bytes.count - synced : random.below(bytes.count - synced + 1))
            kept.removeSubrange(size...)
            tear(&kept, from: synced, &random)
        }
        copy.content.withLock { content in
            content.bytes = kept
            content.syncedCount = kept.count
            content.preallocatedEnd = reserved
        }
        return copy
    }

    /// Each 512-byte sector from `start` on is left alone, cleared, or cleared from somewhere on.
    private func tear(_ bytes: inout [UInt8], from start: Int, _ random: inout SeededRandom) {
        var offset = start
        while offset < bytes.count {
            let end = min((offset / 512 + 1) * 512, bytes.count)
            switch random.below(4) {
            case 0: for index in offset..<end { bytes[index] = 0 }
            case 1: for index in offset + random.below(end - offset)..<end { bytes[index] = 0 }
            default: break
            }
            offset = end
        }
    }

    // MARK: Looking at files and damaging them

    package func bytes(of path: String) -> [UInt8]? {
        state.withLock { $0.names[path] }.map { $0.content.withLock { $0.bytes } }
    }

    /// Replaces a file's bytes, as if the medium had always held these.
    package func set(_ path: String, to bytes: [UInt8]) {
        state.withLock { state in
            let node = Node()
            node.content.withLock { content in
                content.bytes = bytes
                content.syncedCount = bytes.count
            }
            state.names[path] = node
            state.durable[path] = node
        }
    }

    /// Takes a file away, as if it had never been there.
    package func erase(_ path: String) {
        state.withLock { state in
            state.names[path] = nil
            state.durable[path] = nil
        }
    }
}

extension SimulatedDisk {
    /// A hash of all names and bytes: equal for directories that are the same. Differs from process to process.
    package var fingerprint: Int {
        state.withLock { state in
            var hasher = Hasher()
            for name in state.names.keys.sorted() {
                hasher.combine(name)
                state.names[name]?.content.withLock { content in
                    hasher.combine(content.bytes.count)
                    content.bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
                }
            }
            return hasher.finalize()
        }
    }
}
