/// Why a command did not do what it was asked; each kind has its exit code.
enum Failure: Error {
    /// The server refused or answered nonsense, or something went wrong here: 1.
    case error(String)
    /// The command line cannot be right, a malformed id among it: 2.
    case usage(String)
    /// The server does not know the id: 3.
    case unknown(String)
    /// The server wants other credentials: 4.
    case unauthorized(String)
    /// No answer from the server: 5.
    case unreachable(String)

    var exitCode: Int32 {
        switch self {
        case .error: return 1
        case .usage: return 2
        case .unknown: return 3
        case .unauthorized: return 4
        case .unreachable: return 5
        }
    }

    var message: String {
        switch self {
        case .error(let text), .usage(let text), .unknown(let text), .unauthorized(let text),
            .unreachable(let text):
            return text
        }
    }
}
