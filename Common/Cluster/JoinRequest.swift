/// What a worker is and can do; the first message of a session.
package struct JoinRequest: Codable, Sendable, Equatable {
    package var name: String
    package var threads: Int
    /// Tasks that it reads for beside those that its threads compute.
    package var readAhead: Int
    /// Directories whose files it may read.
    package var localRoots: [String]
    package var version: String
    /// The version of the messages that the worker sends and understands; see `WireProtocol`.
    package var protocolVersion = WireProtocol.version
    /// Takes part in rounds with others; a worker that does not trains alone.
    package var joinsRounds = true
    /// What its arithmetic uses of the processor: `portable`, `avx2` or `avx512`. For people only: the results are the
    /// same bits.
    package var instructionSet = ""
    /// A name of this life of the process: one that joins again with the same has not died meanwhile.
    package var process = ""
    /// Bytes of memory that the process may have; 0 where that is not known.
    package var memoryBytes: Int64 = 0

    package init(name: String, threads: Int, readAhead: Int, localRoots: [String], version: String) {
        self.name = name
        self.threads = threads
        self.readAhead = readAhead
        self.localRoots = localRoots
        self.version = version
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension JoinRequest {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name), threads: try keys.decode(Int.self, forKey: .threads),
            readAhead: 0, localRoots: [], version: "")
        // Workers of the first version sent none.
        protocolVersion = 1
        try keys.read(.protocolVersion, into: &protocolVersion)
        try keys.read(.readAhead, into: &readAhead)
        try keys.read(.localRoots, into: &localRoots)
        try keys.read(.version, into: &version)
        try keys.read(.joinsRounds, into: &joinsRounds)
        try keys.read(.instructionSet, into: &instructionSet)
        try keys.read(.process, into: &process)
        try keys.read(.memoryBytes, into: &memoryBytes)
    }
}
