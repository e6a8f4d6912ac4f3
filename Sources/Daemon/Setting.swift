internal import Endpoints
internal import Telemetry
internal import WireFormats

/// One thing that can be set: by a flag, by a variable of the environment, by a key of the file, all of one name.
package struct Setting: Sendable {
    /// The flag without its dashes, and the key in the file.
    package let name: String
    /// What the value is when nothing sets it; empty for settings that need no printing.
    let defaults: [String]
    let isRepeatable: Bool
    /// Says what a value must look like, for error texts: "must be ...".
    let form: String
    /// Puts the texts into a configuration; false when one has another form.
    let apply: @Sendable (inout Configuration, [String]) -> Bool
    /// The texts that give the value of a configuration.
    let texts: @Sendable (Configuration) -> [String]

    /// `CREST_` and the flag in upper case.
    package var variable: String {
        "CREST_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    package static func named(_ name: String) -> Setting? { all.first { $0.name == name } }

    /// All settings, in the order in which they are printed.
    package static let all: [Setting] =
        ListenerName.allCases.map(listener) + [
            plain("statsd-workers", "auto", "must be auto or a number from 1 to 64", \.statsDWorkers) { text in
                if text == "auto" { return .some(nil) }
                return Int(text).flatMap { (1...64).contains($0) ? .some($0) : nil }
            } text: {
                $0.map { "\($0)" } ?? "auto"
            },
            Setting(
                name: "crest-udp-key-file", defaults: [""], isRepeatable: false, form: "must be a file",
                apply: { configuration, texts in
                    configuration.crestUDPKeyFile = texts.last ?? ""
                    return true
                }, texts: { [$0.crestUDPKeyFile] }),
            plain("data-dir", "./crest-data", "must be a directory", \.dataDirectory) {
                $0.isEmpty ? nil : $0
            } text: {
                $0
            },
            oneOf("durability", Durability.synced, \.durability),
            plain("memory-limit", "auto", "must be a size of at least 64MiB, such as 512MiB, or auto", \.memoryLimit) {
                text in
                if text == "auto" { return .some(nil) }
                return SettingText.bytes(text).flatMap { $0 >= MemoryLimit.smallestBytes ? .some($0) : nil }
            } text: {
                $0.map { SettingText.text(bytes: $0) } ?? "auto"
            },
            oneOf("overload-mixed-batch", MixedBatch.retry, \.mixedBatch),
            plain("retention-age", "7d", "must be a duration such as 7d or 12h, or forever", \.retentionAge) { text in
                if text == "forever" { return .some(nil) }
                return SettingText.nanoseconds(text).flatMap { $0 > 0 ? .some($0) : nil }
            } text: {
                $0.map { SettingText.text(nanoseconds: $0) } ?? "forever"
            },
            plain("retention-bytes", "80%", "must be a size such as 100GB or a share such as 80%", \.retentionSpace) {
                Configuration.Space($0)
            } text: {
                $0.description
            },
        ] + classRules + [
            plain("snapshot-age", "30d", "must be a duration such as 30d, or forever", \.snapshotAge) { text in
                if text == "forever" { return .some(nil) }
                return SettingText.nanoseconds(text).flatMap { $0 > 0 ? .some($0) : nil }
            } text: {
                $0.map { SettingText.text(nanoseconds: $0) } ?? "forever"
            },
            plain(
                "recorder-age", "24h", "must be a duration such as 24h or 7d, forever, or off", \.recorderAge
            ) { text in
                if text == "forever" { return .some(nil) }
                if text == "off" { return .some(0) }
                return SettingText.nanoseconds(text).flatMap { $0 > 0 ? .some($0) : nil }
            } text: {
                $0 == 0 ? "off" : $0.map { SettingText.text(nanoseconds: $0) } ?? "forever"
            },
            plain("recorder-bytes", "1GiB", "must be a size such as 10GB", \.recorderBytes) {
                SettingText.bytes($0)
            } text: {
                SettingText.text(bytes: $0)
            },
            oneOf("log-format", Configuration.LogFormat.text, \.logFormat),
            oneOf("log-level", Configuration.LogLevel.info, \.logLevel),
            oneOf("statsd-profile", StatsDProfile.auto, \.statsDProfile),
            oneOf("statsd-gauge-sign", StatsDDialect.GaugeSign.auto, \.gaugeSign),
            Setting(
                name: "statsd-mapping", defaults: [], isRepeatable: true,
                form: "must be a mapping file or one of \(ShippedMappings.all.keys.sorted().joined(separator: ", "))",
                apply: { configuration, texts in
                    configuration.statsDMappings = texts
                    return !texts.contains("")
                }, texts: { $0.statsDMappings }),
            plain("insecure-bind", "false", "must be true or false", \.allowsInsecureBind) {
                ["true": true, "false": false][$0]
            } text: {
                "\($0)"
            },
        ] + access + admission + metricLimits

    private static func listener(_ name: ListenerName) -> Setting {
        let isStatsD = name == .statsD
        let forms = isStatsD ? "HOST:PORT, unixgram:PATH, tcp:HOST:PORT or off" : "HOST:PORT or off"
        return Setting(
            name: name.rawValue, defaults: ["127.0.0.1:\(name.defaultPort)"], isRepeatable: isStatsD,
            form: "must be \(forms)",
            apply: { configuration, texts in
                let addresses = texts.compactMap { ListenerAddress($0, allowsSchemes: isStatsD) }
                guard addresses.count == texts.count, !addresses.isEmpty else { return false }
                configuration.listeners[name] = addresses
                return true
            }, texts: { $0.addresses(name).map(\.description) })
    }

    static func plain<Value>(
        _ name: String, _ standard: String, _ form: String,
        _ path: any WritableKeyPath<Configuration, Value> & Sendable,
        _ parse: @escaping @Sendable (String) -> Value?, text: @escaping @Sendable (Value) -> String
    ) -> Setting {
        Setting(
            name: name, defaults: [standard], isRepeatable: false, form: form,
            apply: { configuration, texts in
                guard let last = texts.last, let value = parse(last) else { return false }
                configuration[keyPath: path] = value
                return true
            }, texts: { [text($0[keyPath: path])] })
    }

    private static func oneOf<Value: RawRepresentable<String> & CaseIterable & SendableMetatype>(
        _ name: String, _ standard: Value, _ path: any WritableKeyPath<Configuration, Value> & Sendable
    ) -> Setting {
        let words = Value.allCases.map(\.rawValue)
        return plain(name, standard.rawValue, "must be one of \(words.joined(separator: ", "))", path) {
            Value(rawValue: $0)
        } text: {
            $0.rawValue
        }
    }
}

extension Configuration.Space: CustomStringConvertible {
    /// Reads `100GB` or `80%`.
    init?(_ text: String) {
        if text.hasSuffix("%") {
            guard let share = UInt64(text.dropLast()), (1...100).contains(share) else { return nil }
            self = .percent(share)
        } else {
            guard let bytes = SettingText.bytes(text), bytes > 0 else { return nil }
            self = .bytes(bytes)
        }
    }

    package var description: String {
        switch self {
        case .bytes(let bytes): SettingText.text(bytes: bytes)
        case .percent(let share): "\(share)%"
        }
    }
}
