/// The pixels of an image input. A pixel's row follows from the item's y, its column from the item's x; the intervals
/// are half open: an item at `xMax` or `yMax` is outside.
package struct ImageGrid: Codable, Sendable, Equatable {
    /// Rows of pixels, H.
    package var height: Int
    /// Columns of pixels, W.
    package var width: Int
    package var xMin: Double
    package var xMax: Double
    package var yMin: Double
    package var yMax: Double

    package init(height: Int, width: Int, xMin: Double, xMax: Double, yMin: Double, yMax: Double) {
        self.height = height
        self.width = width
        self.xMin = xMin
        self.xMax = xMax
        self.yMin = yMin
        self.yMax = yMax
    }

    /// The index of the pixel that (x, y) falls into, in C order of `[height, width]`; nil outside the grid and for a
    /// NaN.
    @inline(__always)
    func pixel(x: Float, y: Float) -> Int? {
        let (x, y) = (Double(x), Double(y))
        guard x >= xMin, x < xMax, y >= yMin, y < yMax else { return nil }
        // The quotient may round up to the number of pixels.
        let column = min(width - 1, Int((x - xMin) / (xMax - xMin) * Double(width)))
        let row = min(height - 1, Int((y - yMin) / (yMax - yMin) * Double(height)))
        return row * width + column
    }
}
