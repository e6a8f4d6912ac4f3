/// Draws a trace as a tree with times and bars.
///
///     SPAN                               START   DURATION
///     gateway POST /checkout                 0     12.3ms  ██████████████████
///     ├─ order create                    1.2ms      9.8ms    ███████████████
///     │  └─ ✗ stock deduct               1.4ms      250us    ▏
///     │       OutOfStock: sku-000042
struct Waterfall {
    let document: TraceDocument
    let columns: Int
    /// On a terminal names are cut to fit; elsewhere they are whole.
    let cutsNames: Bool
    let showsAttributes: Bool
    let localTime: Bool
    let style: Style
    let glyphs: Glyphs

    private static let timeColumns = 9

    /// The lines, without newlines; `line` is called for each.
    func draw(_ line: (String) -> Void) {
        let levels = cutsNames ? min(TraceTree.guideLevels, max(2, columns / 10)) : TraceTree.guideLevels
        let tree = TraceTree(document.spans, guideLevels: levels)
        let extent = Extent(document.spans)
        for text in heading(extent) { line(text) }
        guard !document.spans.isEmpty else { return }
        let labels = tree.rows.map(label)
        let widest = labels.reduce(4) { max($0, DisplayWidth.of($1.text)) }
        let layout = layout(widest: widest)
        let titles =
            DisplayWidth.padRight("SPAN", to: layout.label) + DisplayWidth.padLeft("START", to: Self.timeColumns)
            + DisplayWidth.padLeft("DURATION", to: Self.timeColumns + 1)
        line("")
        line(style.bold(titles))
        for (position, row) in tree.rows.enumerated() {
            line(spanLine(row, labels[position], layout: layout, extent: extent))
            let hasChildren = position + 1 < tree.rows.count && tree.rows[position + 1].depth > row.depth
            for text in details(row, hasChildren: hasChildren, extent) { line(text) }
        }
        if showsAttributes { for text in resources() { line(text) } }
    }

    // MARK: heading

    private func heading(_ extent: Extent) -> [String] {
        let errors = document.spans.count { $0.isError }
        let services = Set(document.spans.map(\.service)).count
        var facts = [
            TimestampText.format(unixNanoseconds: extent.start, local: localTime),
            DurationText.format(nanoseconds: extent.length),
            Counted.text(document.spans.count, "span"),
            Counted.text(services, "service"),
        ]
        if errors > 0 { facts.append(style.red(Counted.text(errors, "error"))) }
        if document.cutSpanCount > 0 { facts.append("\(document.cutSpanCount) more not shown") }
        let clocks = document.clockOffsets.map { "clocks: " + SafeText.escape($0) }
        return [style.bold("trace " + SafeText.escape(document.id)), facts.joined(separator: "  ")] + clocks
    }

    // MARK: columns

    private struct Layout {
        let label: Int
        let bar: Int
    }

    private func layout(widest: Int) -> Layout {
        let times = 2 * Self.timeColumns + 1
        let wanted = widest + 1
        guard cutsNames else {
            return Layout(label: min(wanted, 100), bar: max(24, columns - min(wanted, 100) - times - 3))
        }
        let room = max(20, columns - times - 3)
        // Names get more than half, and on a narrow terminal all but a short bar.
        let label = min(wanted, max(20, room * 6 / 10, min(room - 16, 42)))
        return Layout(label: label, bar: max(0, room - label))
    }

    private struct Label {
        let guide: String
        let mark: String
        let service: String
        let name: String
        var text: String { guide + mark + service + (service.isEmpty ? "" : " ") + name }
    }

    private func label(_ row: TraceTree.Row) -> Label {
        let guide = glyphs.guide(row)
        switch row.content {
        case .span(let index):
            let span = document.spans[index]
            return Label(
                guide: guide, mark: span.isError ? glyphs.error + " " : "", service: SafeText.escape(span.service),
                name: SafeText.escape(span.name))
        case .missing(let id):
            return Label(guide: guide, mark: "", service: "", name: "(parent \(SafeText.escape(id)) not received)")
        case .loop:
            return Label(guide: guide, mark: "", service: "", name: "(spans that are each other's parents)")
        }
    }

    // MARK: one span

    private func spanLine(_ row: TraceTree.Row, _ label: Label, layout: Layout, extent: Extent) -> String {
        guard case .span(let index) = row.content else { return style.dim(cut(label.text, to: columns - 1)) }
        let span = document.spans[index]
        let start = DurationText.format(nanoseconds: extent.offset(of: span))
        let duration = DurationText.format(nanoseconds: span.duration)
        let bar = glyphs.bar(from: extent.offset(of: span), length: span.duration, of: extent.length, in: layout.bar)
        return styled(label, columns: layout.label) + DisplayWidth.padLeft(start, to: Self.timeColumns) + " "
            + DisplayWidth.padLeft(duration, to: Self.timeColumns)
            + (bar.isEmpty ? "" : "  " + (span.isError ? style.red(bar) : style.service(span.service, bar)))
    }

    private func styled(_ label: Label, columns: Int) -> String {
        let fixed = DisplayWidth.of(label.guide) + DisplayWidth.of(label.mark)
        let text = cut(label.service + " " + label.name, to: max(1, columns - 1 - fixed))
        let padding = String(repeating: " ", count: max(1, columns - fixed - DisplayWidth.of(text)))
        let serviceLength = min(label.service.count, text.count)
        let service = String(text.prefix(serviceLength))
        return style.dim(label.guide) + style.red(label.mark) + style.service(label.service, service)
            + text.dropFirst(serviceLength) + padding
    }

    private func cut(_ text: String, to columns: Int) -> String {
        cutsNames ? DisplayWidth.truncate(text, to: columns, ellipsis: glyphs.ellipsis) : text
    }

    // MARK: details

    /// The status message, and on demand attributes, events and links, under their span.
    private func details(_ row: TraceTree.Row, hasChildren: Bool, _ extent: Extent) -> [String] {
        guard case .span(let index) = row.content else { return [] }
        let span = document.spans[index]
        let margin = glyphs.margin(row, hasChildren: hasChildren) + "  "
        var lines: [String] = []
        if span.isError, !span.statusMessage.isEmpty {
            let message = SafeText.escape(span.statusMessage)
            let room = columns - DisplayWidth.of(margin)
            lines.append(style.dim(margin) + style.red(showsAttributes ? message : cut(message, to: max(20, room))))
        }
        guard showsAttributes else { return lines }
        for text in facts(span, extent) { lines.append(style.dim(margin) + text) }
        return lines
    }

    private func facts(_ span: TraceSpan, _ extent: Extent) -> [String] {
        var lines = ["id=\(SafeText.escape(span.id))  kind=\(span.kind)"]
        if !span.isError, !span.statusMessage.isEmpty { lines.append("status=" + SafeText.escape(span.statusMessage)) }
        if !span.scope.isEmpty { lines.append("scope=" + SafeText.escape(span.scope)) }
        if !span.traceState.isEmpty { lines.append("tracestate=" + SafeText.escape(span.traceState)) }
        lines += span.attributes.map(AttributeText.pair)
        for event in span.events {
            let time = extent.offset(of: event["timeUnixNano"]?.integer ?? extent.start)
            let name = SafeText.escape(event["name"]?.text ?? "")
            lines.append("@ \(DurationText.format(nanoseconds: time)) \(name)")
            lines += (event["attributes"]?.items ?? []).map { "    " + AttributeText.pair($0) }
        }
        for link in span.links {
            let trace = link["traceId"]?.text ?? ""
            lines.append(glyphs.link + SafeText.escape(" trace \(trace) span \(link["spanId"]?.text ?? "")"))
            lines += (link["attributes"]?.items ?? []).map { "    " + AttributeText.pair($0) }
        }
        if span.droppedCount > 0 { lines.append("(\(span.droppedCount) attributes, events or links were dropped)") }
        return lines
    }

    /// What the processes said about themselves, once each.
    private func resources() -> [String] {
        var lines = ["", style.bold("RESOURCES")]
        var seen: Set<String> = []
        for resource in document.resources {
            let pairs = resource.attributes.map(AttributeText.pair)
            guard seen.insert(pairs.joined(separator: "\n")).inserted else { continue }
            lines.append(style.service(resource.service, SafeText.escape(resource.service)))
            lines += pairs.filter { !$0.hasPrefix("service.name=") }.map { "  " + $0 }
        }
        return lines
    }
}
