import Foundation

/// What an inference node's answer to a push means for the job.
package enum PublishAnswer: Sendable, Equatable {
    /// The model, or a later one of its name, answers.
    ///
    /// - Parameter laterVersion: the version of the later one; nil where the pushed one answers.
    case acknowledged(laterVersion: Int64?)
    /// The model can never be served there.
    case rejected(String)
    /// There is no room, or too much under way: it may pass.
    case noRoom(String)
    /// No answer, or one that is about the node and not about the model.
    case unreachable(String)

    /// A node's answer to what it rejects.
    private struct Failure: Decodable { var error: String }

    /// A node's answer to a push that it takes.
    private struct Acknowledgement: Decodable {
        var state: String
        var serving: Int64?
    }

    /// What an HTTP answer means.
    ///
    /// - Parameters:
    ///   - status: its code.
    ///   - text: its body; a node's errors are JSON with the key `error`.
    package init(status: UInt, _ text: String) {
        func value<T: Decodable>(_ type: T.Type) -> T? { try? JSONDecoder().decode(type, from: Data(text.utf8)) }
        let reason = "\(status) \(value(Failure.self)?.error ?? text)"
        switch status {
        case 200:
            let found = value(Acknowledgement.self)
            self = .acknowledged(laterVersion: found?.state == "superseded" ? found?.serving : nil)
        case 408, 429, 503, 507: self = .noRoom(reason)
        // 421: the node does not know the name by which it is called.
        case 421, 500...: self = .unreachable(reason)
        default: self = .rejected(reason)
        }
    }
}
