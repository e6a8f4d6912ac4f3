internal import Glibc

/// What the terminal behind standard output can do.
struct Terminal {
    /// Whether standard output is a terminal at all.
    let isInteractive: Bool
    let columns: Int
    let colors: Bool
    /// Whether box and block characters may be used; a C locale gets ASCII.
    let unicode: Bool

    private static let columnsWithoutTerminal = 120

    static func current() -> Terminal {
        let interactive = isatty(STDOUT_FILENO) == 1
        let dumb = variable("TERM") == "dumb"
        return Terminal(
            isInteractive: interactive,
            columns: interactive ? width() : columnsWithoutTerminal,
            colors: interactive && !dumb && variable("NO_COLOR") == nil,
            unicode: !(interactive && dumb) && !isPlainLocale())
    }

    /// An environment variable; nil when unset or empty.
    static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    private static func width() -> Int {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return variable("COLUMNS").flatMap { Int($0) }.map { max(1, $0) } ?? 80
    }

    /// An unset locale counts as UTF-8: containers and CI set none, and their viewers show UTF-8.
    private static func isPlainLocale() -> Bool {
        let locale = variable("LC_ALL") ?? variable("LC_CTYPE") ?? variable("LANG")
        return locale == "C" || locale == "POSIX"
    }
}

/// The few styles Crest uses; plain text where colour is off.
struct Style {
    let enabled: Bool

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func red(_ text: String) -> String { wrap(text, "31") }
    func green(_ text: String) -> String { wrap(text, "32") }

    /// One of six colours, always the same for a service name.
    func service(_ name: String, _ text: String) -> String {
        let palette = ["36", "33", "35", "34", "32", "96"]
        let sum = name.utf8.reduce(5_381) { ($0 &* 33) ^ Int($1) }
        return wrap(text, palette[Int(UInt(bitPattern: sum) % UInt(palette.count))])
    }

    private func wrap(_ text: String, _ code: String) -> String {
        enabled && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
