/// Where a file may be cut into chunks of whole blocks.
package enum ChunkPlanner {
    /// A chunk ends with a cluster: a cut inside would have its baskets read for both sides. Where a cluster alone is
    /// longer than `maxChunksInCluster` chunks, it is cut all the same.
    package static let maxChunksInCluster: Int64 = 4

    /// - Parameters:
    ///   - boundaries: the file's block boundaries.
    ///   - clusters: those of them that are boundaries of clusters too.
    ///   - events: a chunk has about so many, and at least one block.
    ///   - limit: the most blocks of a chunk, so that its specs fit one message.
    /// - Returns: where the chunks end, in blocks.
    package static func cuts(
        _ boundaries: [Int64], clusters: [Int64], events: Int64, blocks limit: Int = .max
    ) -> [Int32] {
        guard boundaries.count > 1 else { return [] }
        var cuts: [Int32] = []
        var first = 0
        /// The last boundary where a cut costs nothing.
        var cut = 0
        var cluster = 0
        for index in 1..<boundaries.count {
            while index - first > 1 {
                let length = boundaries[index] - boundaries[first]
                let full = index - first > limit || length / maxChunksInCluster > events
                guard full || length > events && cut > first else { break }
                first = cut > first ? cut : index - 1
                cuts.append(Int32(first))
            }
            while cluster < clusters.count, clusters[cluster] < boundaries[index] { cluster += 1 }
            if cluster < clusters.count, clusters[cluster] == boundaries[index] { cut = index }
        }
        cuts.append(Int32(boundaries.count - 1))
        return cuts
    }
}
