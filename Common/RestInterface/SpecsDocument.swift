package import Cluster

/// The statistics of a job's branches, over all files that are counted so far. A bundle contains the same document,
/// without what depends on the run.
package struct SpecsDocument: Codable, Sendable, Equatable {
    /// Statistics of one branch over all parts.
    package struct Branch: Codable, Sendable, Equatable {
        package var name: String
        /// `flat` for one number an entry, `fixed[n]` for n numbers, `jagged` where the count varies; empty where it is
        /// not known.
        package var kind: String
        /// Finite values, and values that are not finite.
        package var values: Int64
        package var nonfinite: Int64
        package var min: Double
        package var max: Double
        package var mean: Double
        /// The standard deviation.
        package var deviation: Double
        /// The most values of one entry.
        package var multiplicity: Int64

        package init(
            name: String, kind: String, values: Int64, nonfinite: Int64, min: Double, max: Double, mean: Double,
            deviation: Double, multiplicity: Int64
        ) {
            self.name = name
            self.kind = kind
            self.values = values
            self.nonfinite = nonfinite
            self.min = min
            self.max = max
            self.mean = mean
            self.deviation = deviation
            self.multiplicity = multiplicity
        }

        package init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            name = try values.decode(String.self, forKey: .name)
            kind = try values.decode(.kind, default: "")
            self.values = try values.decode(.values, default: 0)
            nonfinite = try values.decode(.nonfinite, default: 0)
            min = try values.decode(.min, default: 0)
            max = try values.decode(.max, default: 0)
            mean = try values.decode(.mean, default: 0)
            deviation = try values.decode(.deviation, default: 0)
            multiplicity = try values.decode(.multiplicity, default: 0)
        }
    }

    /// One file that is counted.
    package struct File: Codable, Sendable, Equatable {
        package var url: String
        package var logicalName: String
        package var entries: Int64

        package init(url: String, logicalName: String, entries: Int64) {
            self.url = url
            self.logicalName = logicalName
            self.entries = entries
        }

        package init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            url = try values.decode(String.self, forKey: .url)
            logicalName = try values.decode(.logicalName, default: url)
            entries = try values.decode(.entries, default: 0)
        }
    }

    /// The job's number; nil in a bundle, which knows no job numbers.
    package var job: JobID?
    /// Entries of all files.
    package var events: Int64
    /// Entries of each part, by the part's name: train, validation, test.
    package var parts: [String: Int64]
    /// For each dataset, the same.
    package var datasets: [String: [String: Int64]]
    package var branches: [Branch]
    package var files: [File]
    /// SHA-256 of the merged specs, hexadecimal: the same for any order of arrival and any number of workers.
    package var sha256: String

    package init(
        job: JobID?, events: Int64, parts: [String: Int64], datasets: [String: [String: Int64]], branches: [Branch],
        files: [File], sha256: String
    ) {
        self.job = job
        self.events = events
        self.parts = parts
        self.datasets = datasets
        self.branches = branches
        self.files = files
        self.sha256 = sha256
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        job = try values.decodeIfPresent(JobID.self, forKey: .job)
        events = try values.decode(.events, default: 0)
        parts = try values.decode(.parts, default: [:])
        datasets = try values.decode(.datasets, default: [:])
        branches = try values.decode(.branches, default: [])
        files = try values.decode(.files, default: [])
        sha256 = try values.decode(.sha256, default: "")
    }

    /// Leaves out what depends on the run: the job's number and the files' URLs.
    package mutating func removeRunDetails() {
        job = nil
        for index in files.indices { files[index].url = files[index].logicalName }
    }
}
