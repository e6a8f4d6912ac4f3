internal import QueryEngine

/// The parameters of a request: those of a form in the body come before those of the address.
struct PrometheusParameters {
    private let query: QueryParameters

    init(_ call: Call, body: [UInt8]) throws(PrometheusFailure) {
        guard call.request.method == "POST", call.request.mediaType == "application/x-www-form-urlencoded" else {
            query = call.query
            return
        }
        guard let form = String(validating: body, as: UTF8.self) else {
            throw .parameter("error parsing form values: not UTF-8")
        }
        do { query = try QueryParameters(Substring(form + "&" + call.request.rawQuery)) } catch {
            throw .parameter("error parsing form values: \(error)")
        }
    }

    subscript(_ name: String) -> String? { query[name] }

    func all(_ name: String) -> [String] { query.all(name) }

    /// Unix milliseconds; `missing` when the parameter is empty or left out.
    func time(_ name: String, missing: Int64?) throws(PrometheusFailure) -> Int64 {
        let text = query[name] ?? ""
        if text.isEmpty, let missing { return missing }
        guard let time = Self.milliseconds(text), PromTime.isSane(time) else {
            throw .invalid(name, "cannot parse \"\(text)\" to a valid timestamp")
        }
        return time
    }

    /// Seconds as a number, or RFC 3339.
    private static func milliseconds(_ text: String) -> Int64? {
        if let seconds = Double(text) {
            let whole = seconds.rounded(.towardZero)
            return Int64(exactly: whole * 1_000 + ((seconds - whole) * 1_000).rounded())
        }
        // What is all digits was read above.
        return TimeText.nanoseconds(text).map { Int64($0 / 1_000_000) }
    }

    /// Milliseconds from a number of seconds or a duration such as `1m30s`.
    func step() throws(PrometheusFailure) -> Int64 {
        let text = query["step"] ?? ""
        let parsed =
            if let seconds = Double(text) { Int64(exactly: (seconds * 1_000).rounded(.towardZero)) } else {
                PromDuration.milliseconds(text)
            }
        guard let step = parsed else {
            throw .invalid("step", "cannot parse \"\(text)\" to a valid duration")
        }
        guard step > 0 else {
            let message = "zero or negative query resolution step widths are not accepted. Try a positive integer"
            throw .invalid("step", message)
        }
        return step
    }
}
