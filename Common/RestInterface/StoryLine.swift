/// One line of the story of a job, a chunk or a worker.
package struct StoryLine: Codable, Sendable, Equatable {
    /// When it happened, in seconds since 1970; 0 where that is not known.
    package var at: Double
    /// What happened.
    package var text: String

    package init(at: Double, text: String) {
        self.at = at
        self.text = text
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        at = try values.decode(.at, default: 0)
        text = try values.decode(.text, default: "")
    }
}
