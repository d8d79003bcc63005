extension JobDescription {
    /// The number that a regression learns of each event.
    package struct Target: Codable, Sendable, Equatable {
        /// How the target is normalised for training: `standard` is (y - mean) / deviation with the moments of the
        /// training part, `none` leaves it. Predictions and metrics are in the target's own units either way.
        package enum Normalise: String, Codable, Sendable, CaseIterable { case standard, none }

        /// A branch of one number an entry.
        package var branch: String
        package var normalise = Normalise.standard

        /// A target that is normalised by `standard`.
        package init(branch: String) { self.branch = branch }
    }

    /// The branch that is read for what is learnt, and is never a feature: the label's or the target's; nil where the
    /// datasets give the class.
    package var truthBranch: String? { target?.branch ?? labelBranch }
}

extension JobDescription.Branches {
    /// Whether a branch of this name would be a feature.
    package func isKept(_ name: String) -> Bool {
        !identifiers.contains(name) && !drop.contains { NamePattern($0).matches(name) }
            && keep.contains { NamePattern($0).matches(name) }
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension JobDescription.Target {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(branch: try keys.decode(String.self, forKey: .branch))
        try keys.read(.normalise, into: &normalise)
    }
}
