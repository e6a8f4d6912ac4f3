internal import Telemetry

/// A Zipkin endpoint, and the attributes that carry it on a ``SpanRecord``.
///
/// Source: schemas/wire/zipkin-v2.md, "Endpoints".
struct ZipkinEndpoint: Hashable {
    enum Side {
        case local
        case remote
    }

    var serviceName = ""
    var ipv4: String?
    var ipv6: String?
    /// Zero for absent.
    var port: UInt16 = 0

    /// Attributes that the two endpoints of a span can become.
    static let attributeLimit = 7

    var isEmpty: Bool { serviceName.isEmpty && ipv4 == nil && ipv6 == nil && port == 0 }

    /// Takes an address of either version; text that is none is left out, as Zipkin does.
    mutating func setAddress(_ text: String) {
        switch IPAddressText(text) {
        case .version4: ipv4 = text
        case .version6: ipv6 = text
        case nil: break
        }
    }

    /// The local service name is not among them: it names the resource.
    func attributes(_ side: Side) -> [Attribute] {
        var list: [Attribute] = []
        if side == .remote, !serviceName.isEmpty { list.append(Attribute("peer.service", .string(serviceName))) }
        if let address = ipv4 ?? ipv6 { list.append(Attribute(side.addressKey, .string(address))) }
        if ipv4 != nil, let ipv6 { list.append(Attribute(side.ipv6Key, .string(ipv6))) }
        if port != 0 { list.append(Attribute(side.portKey, .int(Int64(port)))) }
        return list
    }

    /// Takes an attribute if it is one that ``attributes(_:)`` makes and its place is still free.
    mutating func take(_ attribute: Attribute, _ side: Side) -> Bool {
        switch (attribute.key, attribute.value) {
        case ("peer.service", .string(let name)) where side == .remote && serviceName.isEmpty && !name.isEmpty:
            serviceName = name
        case (side.addressKey, .string(let text)) where ipv4 == nil && ipv6 == nil && IPAddressText(text) != nil:
            setAddress(text)
        case (side.ipv6Key, .string(let text)) where ipv6 == nil && IPAddressText(text) == .version6:
            ipv6 = text
        case (side.portKey, .int(let number)) where port == 0 && (1...65_535).contains(number):
            port = UInt16(truncatingIfNeeded: number)
        default: return false
        }
        return true
    }

    func write(to json: inout JSONWriter) {
        json.beginObject()
        if !serviceName.isEmpty { json.string("serviceName", serviceName.lowercased()) }
        if let ipv4 { json.string("ipv4", ipv4) }
        if let ipv6 { json.string("ipv6", ipv6) }
        if port != 0 { json.number("port", Int(port)) }
        json.endObject()
    }
}

extension ZipkinEndpoint.Side {
    var addressKey: String { self == .local ? "network.local.address" : "network.peer.address" }
    var portKey: String { self == .local ? "network.local.port" : "network.peer.port" }
    /// Holds the second address of an endpoint that has one of each version.
    var ipv6Key: String { self == .local ? "zipkin.local.ipv6" : "zipkin.remote.ipv6" }
}

/// The version of an IP address in text form.
enum IPAddressText {
    case version4
    case version6

    /// Nil for anything but four decimal numbers without leading zeros, or RFC 4291 text without a zone.
    init?(_ text: String) {
        if Self.isVersion4(text.utf8[...]) {
            self = .version4
        } else if text.utf8.count <= 45, Self.isVersion6(text.utf8[...]) {
            self = .version6
        } else {
            return nil
        }
    }

    private static func isVersion4(_ text: Substring.UTF8View) -> Bool {
        guard (7...15).contains(text.count) else { return false }
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }) else {
                    return false
                }
                return part.count == 1 || (part.first != 0x30 && UInt8(String(Substring(part))) != nil)
            }
    }

    private static func isVersion6(_ text: Substring.UTF8View) -> Bool {
        let colon = UInt8(ascii: ":")
        let parts = Array(text.split(separator: colon, omittingEmptySubsequences: false))
        guard parts.count >= 3 else { return false }
        // `::` leaves one empty part, two at an end of the text.
        var (groups, gaps) = (0, 0)
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                let isEdge = (index == 0 && parts[1].isEmpty) || (index == parts.count - 1 && parts[index - 1].isEmpty)
                if !isEdge { gaps += 1 }
            } else if index == parts.count - 1, isVersion4(part) {
                groups += 2
            } else if part.count <= 4, part.allSatisfy(isHexDigit) {
                groups += 1
            } else {
                return false
            }
        }
        return gaps == 0 ? groups == 8 : gaps == 1 && groups <= 7
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }
}
