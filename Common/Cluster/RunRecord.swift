/// Where and when a training ran: `run.json` beside the bundle, which holds nothing of this.
package struct RunRecord: Codable, Sendable, Equatable {
    /// A worker that took part in the training.
    package struct Member: Codable, Sendable, Equatable {
        package var name: String
        /// What its arithmetic used of the processor; in a record of an earlier version, OpenBLAS's kernel type.
        package var instructionSet: String
        /// The first and the last training round that it took part in.
        package var firstRound: RoundNumber
        package var lastRound: RoundNumber

        package init(name: String, instructionSet: String, firstRound: RoundNumber, lastRound: RoundNumber) {
            self.name = name
            self.instructionSet = instructionSet
            self.firstRound = firstRound
            self.lastRound = lastRound
        }
    }

    package static let newestFormat = 1
    private let format = Self.newestFormat

    package var job: JobID
    package var name: String
    /// The coordinator's version.
    package var version: String
    /// The bundle's SHA-256.
    package var bundle: String
    /// Seconds since 1970.
    package var submitted: Double
    package var finished: Double?
    package var members: [Member]

    package init(
        job: JobID, name: String, version: String, bundle: String, submitted: Double, finished: Double?,
        members: [Member]
    ) {
        self.job = job
        self.name = name
        self.version = version
        self.bundle = bundle
        self.submitted = submitted
        self.finished = finished
        self.members = members
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension RunRecord {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.document("the record of a run", newest: Self.newestFormat, keyedBy: CodingKeys.self)
        self.init(
            job: try keys.decode(JobID.self, forKey: .job), name: try keys.decode(String.self, forKey: .name),
            version: try keys.decode(String.self, forKey: .version),
            bundle: try keys.decode(String.self, forKey: .bundle),
            submitted: try keys.decode(Double.self, forKey: .submitted),
            finished: try keys.decodeIfPresent(Double.self, forKey: .finished),
            members: try keys.decodeIfPresent([Member].self, forKey: .members) ?? [])
    }
}

extension RunRecord.Member {
    private enum OlderKeys: String, CodingKey {
        case instructionSet = "kernels"  // Old spelling.
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        let older = try decoder.container(keyedBy: OlderKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name),
            instructionSet: try keys.decodeIfPresent(String.self, forKey: .instructionSet)
                ?? older.decodeIfPresent(String.self, forKey: .instructionSet) ?? "",
            firstRound: try keys.decode(RoundNumber.self, forKey: .firstRound),
            lastRound: try keys.decode(RoundNumber.self, forKey: .lastRound))
    }
}
