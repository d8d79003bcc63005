/// The bearer token that jobs with `credentials: forward` send to workers. It is never logged and never in the ledger.
struct ForwardedCredential {
    /// What the workers have now.
    private(set) var token: String?
    /// Why jobs that need it wait; nil where there is a token, or where no job needs one.
    private(set) var missing: String?
    private let find: (@Sendable () throws -> String?)?
    private var nextLook = 0.0
    private var wasWanted = false

    /// - Parameter find: looks for the token; nil where tokens are not forwarded.
    init(find: (@Sendable () throws -> String?)?) { self.find = find }

    /// Looks for the token again, five times a second at most.
    /// - Parameters:
    ///   - isWanted: a job forwards credentials.
    ///   - now: seconds of the monotonic clock.
    /// - Returns: whether the token is another than before.
    mutating func refresh(isWanted: Bool, now: Double) -> Bool {
        guard isWanted != wasWanted || (isWanted && now >= nextLook) else { return false }
        (wasWanted, nextLook) = (isWanted, now + 0.19)
        let found: String?
        (found, missing) = isWanted ? look() : (nil, nil)
        defer { token = found }
        return found != token
    }

    /// The token as it is now, or what is missing.
    func look() -> (token: String?, missing: String?) {
        guard let find else { return (nil, nil) }
        do {
            let token = try find()
            return (token, token == nil ? "a bearer token: the coordinator finds none to forward" : nil)
        } catch { return (nil, "a bearer token: \(error)") }
    }
}
