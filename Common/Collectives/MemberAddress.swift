package import Bytes
import CGloo
import Dispatch
import Synchronization

/// The address at which the other members of a round reach this one.
package enum MemberAddress {
    /// Resolves a name or an address, and tries out that this machine can listen there: so a mistake shows before the
    /// worker joins, and not in every round.
    ///
    /// - Parameters:
    ///   - host: a name or an IP address.
    ///   - seconds: how long the system may take to resolve the name.
    /// - Returns: the IP address.
    /// - Throws: `InputError` with `.input` where the name does not resolve in time, or stands for no address of this
    ///   machine.
    package static func resolve(_ host: String, within seconds: Double = 5) throws(InputError) -> String {
        let answer = Answer()
        // The system's resolver cannot be interrupted: its thread is left behind where it takes too long.
        DispatchQueue.global().async {
            var failure = cgl_failure()
            var address = [CChar](repeating: 0, count: 256)
            let outcome = cgl_resolve(host, &address, address.count, &failure)
            let text = String(decoding: address.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            answer.give(outcome == cgl_done ? .success(text) : .failure(Unusable(reason: failure.reason)))
        }
        switch answer.wait(seconds) {
        case .success(let address)?: return address
        case .failure(let unusable)?: throw fault(host, unusable.reason)
        case nil: throw fault(host, "it did not resolve within \(Int(seconds)) s")
        }
    }

    private static func fault(_ host: String, _ reason: String) -> InputError {
        InputError(
            .input, "other workers cannot reach this one at \(host)",
            expected: "a name or an IP address of this machine", found: reason,
            hint: "Give --host one of the addresses that 'ip address' shows on this machine")
    }

    private struct Unusable: Error { let reason: String }

    /// What the resolver's thread has found.
    private final class Answer: Sendable {
        private let value = Mutex<Result<String, Unusable>?>(nil)
        private let given = DispatchSemaphore(value: 0)

        func give(_ result: Result<String, Unusable>) {
            value.withLock { $0 = result }
            given.signal()
        }

        /// nil where nothing came in time.
        func wait(_ seconds: Double) -> Result<String, Unusable>? {
            _ = given.wait(timeout: .now() + seconds)
            return value.withLock { $0 }
        }
    }
}
