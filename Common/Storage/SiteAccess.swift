import Bytes
package import Cluster
import Dispatch
import Synchronization

/// A worker's access to one site: its limits and credentials, the reads under way there, and the outcomes of earlier
/// ones.
///
/// Shared by all threads. Waiting here is bounded: everything under way has a deadline.
package final class SiteAccess: Sendable {
    /// A read that was let in.
    struct Ticket: Sendable {
        fileprivate let number: UInt64
        let bytes: Int
        fileprivate let started: UInt64

        /// Since it was let in.
        var milliseconds: Int { Int((DispatchTime.now().uptimeNanoseconds - started) / 1_000_000) }
    }

    enum Outcome {
        case read, failed
        /// Given up: its buffer is counted until the client library is done with it.
        case abandoned
    }

    private struct State {
        var limits: SiteLimits
        var credentials: Credentials
        var maxReads: Int
        var excluded = false
        var vectorsAllowed = true
        var nextTicket: UInt64 = 0
        var underWay: [UInt64: UInt64] = [:]
        var bytesInFlight = 0
        var waiters: [DispatchSemaphore] = []
        var report: SiteReport
        var pace = Pace()
    }

    /// What a site gave lately: both halves fade alike.
    private struct Pace {
        var bytes = 0.0
        var seconds = 0.0
        var successes = 0.0
        var failures = 0.0
        var absences = 0.0
        var busySince: UInt64?

        mutating func fade() {
            if seconds > 4 { (bytes, seconds) = (bytes / 2, seconds / 2) }
            if successes + failures + absences > 64 {
                (successes, failures, absences) = (successes / 2, failures / 2, absences / 2)
            }
        }
    }

    package let site: String
    /// What the site's files share with those of other sites.
    let resources: SourceResources
    private let state: Mutex<State>

    package init(
        _ site: String, limits: SiteLimits = .init(), credentials: Credentials = .init(),
        resources: SourceResources = .init()
    ) {
        self.site = site
        self.resources = resources
        state = Mutex(
            State(
                limits: limits, credentials: credentials, maxReads: min(32, limits.maxReads),
                report: SiteReport(site: site)))
    }

    package var limits: SiteLimits { state.withLock { $0.limits } }
    package var credentials: Credentials { state.withLock { $0.credentials } }
    var vectorsAllowed: Bool { state.withLock { $0.vectorsAllowed } }
    package var isExcluded: Bool { state.withLock { $0.excluded } }

    func forbidVectors() { state.withLock { $0.vectorsAllowed = false } }

    /// Replaces limits and credentials; reads under way keep theirs.
    package func configure(_ limits: SiteLimits, _ credentials: Credentials) {
        state.withLock { ($0.limits, $0.credentials) = (limits, credentials) }
    }

    /// Follows the coordinator: how many reads may be under way, and whether other sites should be preferred.
    package func apply(_ directive: SiteDirective) {
        let woken = state.withLock { state in
            state.maxReads = max(1, directive.reads)
            state.excluded = directive.excluded
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in woken { waiter.signal() }
    }

    // MARK: Reads

    /// Lets a read in, if the site has room for it.
    /// - Parameter wait: waits for room; else the answer may be nil.
    /// - Throws: where so many given-up reads hang at the site that there is no room at all.
    func enter(_ bytes: Int, wait: Bool) throws(InputError) -> Ticket? {
        let asked = DispatchTime.now().uptimeNanoseconds
        while true {
            let now = DispatchTime.now().uptimeNanoseconds
            guard now - asked < UInt64(limits.readSeconds) * 4_000_000_000 else {
                throw InputError(
                    .deadline, "the site \(site) had no room for another read for long",
                    expected: "room within \(4 * limits.readSeconds) s")
            }
            let semaphore = DispatchSemaphore(value: 0)
            let (ticket, stuck): (Ticket?, Bool) = state.withLock { state in
                let held = Int(state.report.abandonedBytes)
                if held > state.limits.bytesInFlight { return (nil, true) }
                let fits =
                    state.underWay.isEmpty
                    || state.underWay.count < state.maxReads
                        && state.bytesInFlight + held + bytes <= state.limits.bytesInFlight
                guard fits else {
                    if wait { state.waiters.append(semaphore) }
                    return (nil, false)
                }
                if state.underWay.isEmpty { state.pace.busySince = now }
                state.nextTicket += 1
                state.underWay[state.nextTicket] = now
                state.bytesInFlight += bytes
                return (Ticket(number: state.nextTicket, bytes: bytes, started: now), false)
            }
            if let ticket { return ticket }
            if stuck {
                throw InputError(
                    .deadline, "the site \(site) holds too many reads that it never answered",
                    expected: "at most \(limits.bytesInFlight) bytes")
            }
            guard wait else { return nil }
            state.withLock { $0.report.readsWaiting += 1 }
            _ = semaphore.wait(timeout: .now() + .seconds(1))
            state.withLock { $0.report.readsWaiting -= 1 }
        }
    }

    func leave(_ ticket: Ticket, _ outcome: Outcome) {
        let now = DispatchTime.now().uptimeNanoseconds
        let woken = state.withLock { state in
            state.underWay[ticket.number] = nil
            state.bytesInFlight -= ticket.bytes
            if state.underWay.isEmpty, let since = state.pace.busySince {
                state.pace.seconds += Double(now - since) / 1e9
                state.pace.busySince = nil
            } else if let since = state.pace.busySince, now - since > 1_000_000_000 {
                state.pace.seconds += Double(now - since) / 1e9
                state.pace.busySince = now
            }
            switch outcome {
            case .read:
                state.pace.bytes += Double(ticket.bytes)
                state.pace.successes += 1
                state.report.countRead(bytes: ticket.bytes, seconds: Double(now - ticket.started) / 1e9)
            case .failed: break
            case .abandoned: state.report.abandonedBytes += Int64(ticket.bytes)
            }
            state.pace.fade()
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in woken { waiter.signal() }
    }

    /// An abandoned read's buffer is free at last.
    func released(_ bytes: Int) { state.withLock { $0.report.abandonedBytes -= Int64(bytes) } }

    // MARK: What came of it

    /// A file was opened. That is no proof of health: only a read makes up for failures.
    func opened() {
        state.withLock { state in
            state.report.opens += 1
            state.pace.successes += 1
        }
    }

    /// A list was given: that is all that was asked for.
    func listed() {
        state.withLock { state in
            state.report.opens += 1
            state.report.failuresInRow = 0
        }
    }

    /// An attempt failed.
    func failed(_ error: SiteError) {
        let fault = SiteFault(error.outcome)
        let text = error.cause.description
        state.withLock { state in
            state.report.count(fault, text)
            if fault == .missing { state.pace.absences += 1 } else { state.pace.failures += 1 }
            state.pace.fade()
        }
    }

    func retried() { state.withLock { $0.report.retries += 1 } }

    /// Looks at the site's credentials as an open would.
    func checkCredentials() {
        let found = credentials.state()
        state.withLock { ($0.report.credentialWarning, $0.report.tokenExpires) = (found.warning, found.expires) }
    }

    /// How the site did lately.
    var score: ReplicaScore {
        state.withLock { state in
            let pace = state.pace
            let tries = pace.successes + pace.failures + pace.absences
            return ReplicaScore(
                excluded: state.excluded, bytesPerSecond: pace.seconds > 0.01 ? pace.bytes / pace.seconds : nil,
                errorRate: tries > 0 ? pace.failures / tries : 0, absenceRate: tries > 0 ? pace.absences / tries : 0,
                known: pace.successes > 0)
        }
    }

    package var report: SiteReport {
        let now = DispatchTime.now().uptimeNanoseconds
        return state.withLock { state in
            var report = state.report
            report.readsInFlight = state.underWay.count
            report.longestWait = state.underWay.values.min().map { now > $0 ? Double(now - $0) / 1e9 : 0 } ?? 0
            return report
        }
    }
}
