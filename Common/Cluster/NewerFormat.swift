/// A document comes from a newer program than this one.
package struct NewerFormat: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the document is, for people.
    package var document: String
    package var format: Int
    /// The newest format that this program reads.
    package var newest: Int

    package var description: String {
        "\(document) has format \(format), and this program reads formats up to \(newest): "
            + "a newer version of beamline wrote it; install that version"
    }
}
