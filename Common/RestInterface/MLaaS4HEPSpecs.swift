/// A job's specs in the layout of MLaaS4HEP's specs files.
package struct MLaaS4HEPSpecs: Codable, Sendable, Equatable {
    /// Entries of all files.
    package var events: Int64
    /// Names of branches with a fixed number of values an entry, and of jagged ones.
    package var fkeys: [String]
    package var jkeys: [String]
    /// For each jagged branch, the most values of one entry.
    package var jdim: [String: Int64]
    /// For each branch: its minimum, its maximum, its values that are not finite.
    package var minv: [String: Double]
    package var maxv: [String: Double]
    package var nans: [String: Int64]

    package init(
        events: Int64, fkeys: [String], jkeys: [String], jdim: [String: Int64], minv: [String: Double],
        maxv: [String: Double], nans: [String: Int64]
    ) {
        self.events = events
        self.fkeys = fkeys
        self.jkeys = jkeys
        self.jdim = jdim
        self.minv = minv
        self.maxv = maxv
        self.nans = nans
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        events = try values.decode(.events, default: 0)
        fkeys = try values.decode(.fkeys, default: [])
        jkeys = try values.decode(.jkeys, default: [])
        jdim = try values.decode(.jdim, default: [:])
        minv = try values.decode(.minv, default: [:])
        maxv = try values.decode(.maxv, default: [:])
        nans = try values.decode(.nans, default: [:])
    }
}
