import Foundation
import FoundationNetworking
import Testing

/// Asks a coordinator's REST interface from this process: a client started for each look would be most of a test's
/// load.
enum RestProbe {
    /// - Returns: the answer's JSON; nil where nobody answers or the answer is an error.
    static func get(_ url: String, seconds: Double = 10) -> Any? {
        guard let address = URL(string: url) else { return nil }
        var request = URLRequest(url: address, timeoutInterval: seconds)
        request.setValue("close", forHTTPHeaderField: "Connection")
        let answer = Answer()
        let task = URLSession.shared.dataTask(with: request) { data, response, _ in
            if let data, let code = (response as? HTTPURLResponse)?.statusCode, (200..<300).contains(code) {
                answer.data = data
            }
            answer.isThere.signal()
        }
        task.resume()
        answer.isThere.wait()
        return answer.data.flatMap { try? JSONSerialization.jsonObject(with: $0, options: .fragmentsAllowed) }
    }

    // SAFETY: the one writer signals after its write, and the one reader waits for the signal before it reads.
    private final class Answer: @unchecked Sendable {
        let isThere = DispatchSemaphore(value: 0)
        var data: Data?
    }
}
