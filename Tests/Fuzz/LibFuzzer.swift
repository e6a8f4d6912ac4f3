internal import Glibc

/// The target that libFuzzer drives: the one that `CREST_FUZZ_TARGET` names.
private let driven: FuzzTarget? = {
    guard let name = getenv("CREST_FUZZ_TARGET").map({ String(cString: $0) }) else { return nil }
    return FuzzTarget.inner.first { $0.name == name }
}()

/// What libFuzzer calls for each input. A broken promise ends the process as a trap does, so that the input is kept.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let driven else {
        print("CREST_FUZZ_TARGET must be one of: \(FuzzTarget.inner.map(\.name).joined(separator: " "))")
        fflush(nil)
        exit(2)
    }
    if let reason = driven.check(Array(UnsafeBufferPointer(start: data, count: count))) {
        print("\(driven.name): \(reason)")
        fflush(nil)
        abort()
    }
    return 0
}
