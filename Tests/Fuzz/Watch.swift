internal import Glibc

/// Says what was being tried when the process dies, so that a trap, a hang or want of memory can be played again.
///
/// The input under way lies in plain memory that a signal handler may read.
enum Watch {
    private static let capacity = 1 << 20
    nonisolated(unsafe) private static let input = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    nonisolated(unsafe) private static var count = 0
    nonisolated(unsafe) private static var tries = 0
    nonisolated(unsafe) private static var isOn = false

    /// Seconds that some 64 inputs may take together.
    private static let patience: UInt32 = 30
    private static let fatal = [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM]

    static func begin() {
        isOn = true
        for number in fatal {
            signal(number) { number in
                Watch.tell(number)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        // An allocation without bound should end this process, not the machine.
        var limit = rlimit(rlim_cur: 4 << 30, rlim_max: 4 << 30)
        setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    }

    static func note(_ bytes: [UInt8]) {
        guard isOn else { return }
        count = min(bytes.count, capacity)
        bytes.withUnsafeBytes { if let base = $0.baseAddress { input.copyMemory(from: base, byteCount: count) } }
        if tries & 63 == 0 { alarm(patience) }
        tries &+= 1
    }

    /// Only calls that a signal handler may make.
    private static func tell(_ number: CInt) {
        write(number == SIGALRM ? "hangs on the input\n" : "dies of the input\n")
        let digits: StaticString = "0123456789abcdef"
        let bytes = input.assumingMemoryBound(to: UInt8.self)
        for index in 0..<count {
            var pair = (
                digits.utf8Start[Int(bytes[index] >> 4)], digits.utf8Start[Int(bytes[index] & 15)]
            )
            _ = Glibc.write(1, &pair, 2)
        }
        write("\n")
    }

    private static func write(_ text: StaticString) { _ = Glibc.write(1, text.utf8Start, text.utf8CodeUnitCount) }
}
