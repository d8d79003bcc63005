/// What an input's tensor looks like for one sample.
package enum InputKind: Sendable, Equatable {
    /// `[F]`: the channels' values one after the other, jagged ones padded to their width.
    case flat
    /// `[N, F]` with a mask `[N]`: an item of a collection for each N, its channels' values for F. N is `length`, or
    /// where that is nil the longest sequence of the batch.
    case sequence(length: Int?)
    /// `[H, W, C]`: the first channel gives each item's x, the second its y, each further one the weight that is added
    /// to the pixel at (x, y), in one image channel C.
    case image(ImageGrid)
}

/// A named input tensor of a model and the branches that it is made from.
package struct InputSchema: Codable, Sendable, Equatable {
    package var name: String
    package var kind: InputKind
    package var channels: [Channel]

    package init(name: String, kind: InputKind, channels: [Channel]) {
        self.name = name
        self.kind = kind
        self.channels = channels
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        name = try keys.decode(String.self, forKey: .name)
        kind = try keys.decodeIfPresent(InputKind.self, forKey: .kind) ?? .flat
        channels = try keys.decodeIfPresent([Channel].self, forKey: .channels) ?? []
    }

    /// The sum of the channels' widths: F of a flat input or a sequence.
    package var width: Int { channels.reduce(0) { $0 + $1.width } }

    /// The normalisation of each of the `width` values, in their order.
    package var normalisation: Normalisation { Normalisation(channels) }
}

/// The channels' normalisations, one number for each value: `[width]` each.
package struct Normalisation: Sendable, Equatable {
    package var offset: [Float]
    package var scale: [Float]
    package var fill: [Float]

    package init(_ channels: [Channel]) {
        func spread(_ value: (Channel) -> Float) -> [Float] {
            channels.flatMap { [Float](repeating: value($0), count: $0.width) }
        }
        offset = spread(\.offset)
        scale = spread(\.scale)
        fill = spread(\.fill)
    }
}

extension InputKind: Codable {
    private enum CodingKeys: CodingKey { case type, length, grid }
    private enum Name: String, Codable { case flat, sequence, image }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        switch try keys.decode(Name.self, forKey: .type) {
        case .flat: self = .flat
        case .sequence: self = .sequence(length: try keys.decodeIfPresent(Int.self, forKey: .length))
        case .image: self = .image(try keys.decode(ImageGrid.self, forKey: .grid))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .flat: try keys.encode(Name.flat, forKey: .type)
        case .sequence(let length):
            try keys.encode(Name.sequence, forKey: .type)
            try keys.encodeIfPresent(length, forKey: .length)
        case .image(let grid):
            try keys.encode(Name.image, forKey: .type)
            try keys.encode(grid, forKey: .grid)
        }
    }
}
