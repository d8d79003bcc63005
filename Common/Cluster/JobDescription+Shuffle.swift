extension JobDescription {
    /// About how many samples a lane mixes while it gives them to training. Coded as `"automatic"`, `"full"` or the
    /// number.
    package enum Shuffle: Sendable, Equatable {
        /// As many as 512 MiB hold, over all lanes.
        case automatic
        /// All samples of the lane.
        case full
        /// About this number.
        case samples(Int)
    }
}

extension JobDescription.Shuffle: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let count = try? container.decode(Int.self) {
            self = .samples(count)
            return
        }
        switch try container.decode(String.self) {
        case "automatic": self = .automatic
        case "full": self = .full
        case let other:
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected automatic, full or a number; found \(other)")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .automatic: try container.encode("automatic")
        case .full: try container.encode("full")
        case .samples(let count): try container.encode(count)
        }
    }
}
