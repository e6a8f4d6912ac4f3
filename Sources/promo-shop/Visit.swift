internal import Glibc

/// What one request is about, drawn before anything happens.
struct Visit {
    enum Intent {
        case browse
        case checkout
    }

    let intent: Intent
    /// On the limiter's deny list: always refused.
    let isBot: Bool
    let user: String
    let userNumber: Int
    let product: String
    /// Rank by popularity, 0 is the hottest.
    let productRank: Int
    let activity: String
    let address: String
    let userAgent: String
    /// Which pod of each service takes its part of the request.
    let pods: [Int]
}

/// Who comes and what they want: 500 products by a Zipf law, a few users far more eager than the rest.
struct Crowd {
    let products: [String]
    /// Share of the visits that are for a product, by rank.
    let productShares: [Double]
    private let cumulative: [Double]
    private let addresses: [String]
    private let userAgents: [String]

    init(seed: UInt64) {
        var random = Random(seed: seed, stream: 1 << 40)
        products = (0..<500).map { _ in "sku-" + padded(random.below(1_000_000), to: 6) }
        var weights: [Double] = []
        var total = 0.0
        for rank in 1...500 {
            let weight = pow(Double(rank), -1.1)
            weights.append(weight)
            total += weight
        }
        productShares = weights.map { $0 / total }
        var running = 0.0
        cumulative = productShares.map { share in
            running += share
            return running
        }
        addresses = (0..<50_000).map { _ in
            "\(1 + random.below(222)).\(random.below(256)).\(random.below(256)).\(1 + random.below(254))"
        }
        userAgents = Crowd.phones
    }

    /// The visit number `random`'s stream stands for.
    func visit(_ random: inout Random) -> Visit {
        let isBot = random.chance(0.03)
        let wantsToBrowse = random.chance(0.2)
        let userNumber = Int((random.pareto(alpha: 0.35) * 13).truncatingRemainder(dividingBy: 200_000))
        let rank = rankOf(random.unit())
        return Visit(
            intent: wantsToBrowse && !isBot ? .browse : .checkout, isBot: isBot,
            user: "u" + padded(userNumber, to: 7), userNumber: userNumber, product: products[rank],
            productRank: rank, activity: "promo-1122-" + padded(random.below(12), to: 2),
            address: addresses[random.below(addresses.count)],
            userAgent: userAgents[random.below(userAgents.count)],
            pods: Service.allCases.map { random.below($0.podCount) })
    }

    /// Binary search for the first rank whose cumulative share is above `point`.
    private func rankOf(_ point: Double) -> Int {
        var low = 0
        var high = cumulative.count - 1
        while low < high {
            let middle = (low + high) / 2
            if cumulative[middle] > point { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private static let phones: [String] =
        (0..<6).map { "Mozilla/5.0 (iPhone; CPU iPhone OS 18_\($0) like Mac OS X) AppleWebKit/605.1.15 Mobile/22A" }
        + (0..<20).map {
            "Mozilla/5.0 (Linux; Android 1\(1 + $0 % 5); Pixel \(5 + $0 % 6)) AppleWebKit/537.36 "
                + "Chrome/13\($0 % 10).0.0.0 Mobile Safari/537.36"
        }
        + (0..<8).map {
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/13\($0).0.0.0 Safari/537.36"
        }
}
