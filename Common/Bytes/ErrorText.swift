/// Gives C memory for an error's text.
///
/// - Parameter body: is called with the memory and its size in bytes.
/// - Returns: the text that `body` has left there; empty where it left none.
package func withErrorText(_ body: (UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
        guard let start = buffer.baseAddress else { return "" }
        start.initialize(repeating: 0, count: buffer.count)
        body(start, buffer.count)
        return String(cString: start)
    }
}
