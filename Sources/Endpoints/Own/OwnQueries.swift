internal import QueryEngine
internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// The reading half of `/api/crest/v1`.
enum OwnQueries {
    /// `GET /api/crest/v1/traces/{id}`: the spans as OTLP JSON, behind the members of a summary.
    static func trace(_ call: Call) -> Response {
        guard let traceID = call.traceID else {
            let message = "'\(call.path.first ?? "")' is not a trace id: 1 to 32 hexadecimal digits, not all zero"
            return call.badRequest(message, parameter: "id")
        }
        do {
            guard let trace = try call.trace(traceID) else {
                return OwnError.response(404, "no trace \(traceID.hex32)")
            }
            var json = JSONWriter()
            json.beginObject()
            json.summaryMembers(trace.summary)
            json.number("cutSpanCount", trace.cutSpanCount)
            json.clockOffsets(ClockSkew(trace.spans, tree: TraceTree(trace.spans)).offsets)
            json.key("resourceSpans")
            json.raw(resourceSpans(trace.spans))
            json.endObject()
            return .json(json.bytes)
        } catch { return call.failure(error) }
    }

    /// The value of `resourceSpans` in OTLP's JSON.
    private static func resourceSpans(_ spans: [SpanRecord]) -> [UInt8] {
        let frame = Array(#"{"resourceSpans":"#.utf8)
        let message = encodeOTLPTracesJSON(spans)
        guard message.starts(with: frame) else { return Array("[]".utf8) }
        return Array(message[frame.count..<message.count - 1])
    }

    /// `GET /api/crest/v1/search`.
    static func search(_ call: Call) -> Response {
        let parameters: SearchParameters
        do { parameters = try SearchParameters(call.query, tenant: call.context.tenant) } catch {
            return call.badRequest(error.message, parameter: error.parameter)
        }
        var clock = StageClock()
        do {
            let page = try call.context.engine.search(
                [parameters.filter], order: parameters.order, limit: parameters.limit, after: parameters.after,
                budget: call.budget)
            clock.end("search")
            let summaries = try call.summaries(of: page.traces)
            clock.end("summaries")
            var json = JSONWriter()
            json.beginObject()
            json.key("traces")
            json.beginArray()
            for summary in summaries { json.summary(summary) }
            json.endArray()
            json.key("next")
            if let next = page.next {
                let token = PageToken(order: parameters.order, fingerprint: parameters.fingerprint, key: next)
                json.string(token.text)
            } else {
                json.null()
            }
            if parameters.explains {
                json.key("explain")
                json.explanation(
                    call.budget.plan.counts, of: summaries, stages: clock.stages, bytesRead: call.budget.bytesCharged)
            }
            json.endObject()
            return .json(json.bytes)
        } catch { return call.failure(error) }
    }

    /// `GET /api/crest/v1/services`.
    static func services(_ call: Call) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.key("services")
        json.strings(call.context.engine.source.services(tenant: call.context.tenant))
        json.endObject()
        return .json(json.bytes)
    }

    /// `GET /api/crest/v1/operations?service=`: of one service, or of all.
    static func operations(_ call: Call) -> Response {
        let service = call.query.nonEmpty("service")
        var json = JSONWriter()
        json.beginObject()
        json.key("operations")
        json.beginArray()
        let operations = call.context.engine.source.operations(service: service, tenant: call.context.tenant)
        for operation in operations {
            json.beginObject()
            json.string("name", operation.name)
            json.string("kind", operation.kind.label)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    /// `GET /api/crest/v1/durable?seq=N`: whether what was acknowledged with `crest-seq: N` is as durable as promised.
    static func durable(_ call: Call) -> Response {
        guard let text = call.query.nonEmpty("seq"), let sequence = UInt64(text) else {
            return call.badRequest("give the number of a crest-seq header", parameter: "seq")
        }
        let current = call.context.daemon.durableSequence()
        var json = JSONWriter()
        json.beginObject()
        json.bool("durable", sequence <= current)
        json.number("sequence", current)
        json.string("durability", call.context.durability.rawValue)
        json.endObject()
        return .json(json.bytes)
    }
}
