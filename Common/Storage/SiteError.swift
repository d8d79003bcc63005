package import Bytes
import Cluster

/// Why an attempt at one replica failed: the site, what that means for the replica, and the error itself.
package struct SiteError: Error, Equatable, Sendable {
    /// The site's name.
    package var site: String
    package var outcome: ReplicaSelector.Outcome
    package var cause: InputError

    /// - Parameter outcome: nil where the error's code decides.
    package init(site: String, _ cause: InputError, outcome: ReplicaSelector.Outcome? = nil) {
        self.site = site
        self.cause = cause
        self.outcome = outcome ?? ReplicaSelector.Outcome(cause.code)
    }
}

extension ReplicaSelector.Outcome {
    /// What an error of this code means for the replica that it came from.
    package init(_ code: InputError.Code) {
        switch code {
        case .unreachable: self = .unreachable
        case .deadline: self = .timedOut
        case .denied: self = .denied
        case .missing: self = .missing
        case .changed: self = .otherIdentity
        case .unsupported, .input: self = .unsupported
        case .truncated, .badMagic, .badLength, .badChecksum, .corrupt: self = .damaged
        // A limit of this process, of memory for one: it may be gone the next time.
        case .faulty, .limit, .full: self = .faulty
        }
    }
}

extension SiteFault {
    /// The fault that a site's report counts an attempt's outcome as.
    package init(_ outcome: ReplicaSelector.Outcome) {
        switch outcome {
        case .unreachable: self = .unreachable
        case .timedOut: self = .deadline
        case .denied: self = .denied
        case .missing: self = .missing
        case .otherIdentity, .checksumDiffers: self = .changed
        case .faulty, .unsupported, .damaged: self = .broken
        }
    }
}
