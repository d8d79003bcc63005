/// Gives C memory for an error's text.
///
/// - Returns: the text that `body` has left there; empty where it left none.
func withErrorText(_ body: (UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
        guard let start = buffer.baseAddress else { return "" }
        start.initialize(to: 0)
        body(start, buffer.count)
        return String(cString: start)
    }
}
