import pytest
import torch
from torchvision.transforms import ToTensor

from bnkit.data.loader import BatchLoader

IMAGES = torch.arange(10 * 28 * 28).remainder(256).to(torch.uint8).view(10, 28, 28)
LABELS = torch.arange(10)


def labels_of(loader):
    return [label for _, y in loader for label in y.tolist()]


def test_batches_are_flat_floats_from_0_to_1():
    x, y = next(iter(BatchLoader(IMAGES, LABELS, batch_size=4)))
    assert x.shape == (4, 784) and x.dtype == torch.float32
    assert y.tolist() == [0, 1, 2, 3] and y.dtype == torch.int64
    assert x.min() == 0 and x.max() == 1


def test_pixels_are_those_of_torchvisions_totensor():
    x, _ = next(iter(BatchLoader(IMAGES, LABELS, flatten=False)))
    assert x.equal(torch.stack([ToTensor()(image.numpy()) for image in IMAGES]))


def test_unflattened_batches_have_a_channel():
    x, _ = next(iter(BatchLoader(IMAGES, LABELS, batch_size=4, flatten=False)))
    assert x.shape == (4, 1, 28, 28)


def test_float_images_are_taken_as_they_are():
    images = torch.full((4, 28, 28), 3.5)
    x, _ = next(iter(BatchLoader(images, LABELS[:4])))
    assert x.unique().tolist() == [3.5]


def test_making_a_batch_leaves_the_images_alone():
    images = IMAGES.float()
    x, _ = next(iter(BatchLoader(IMAGES, LABELS)))
    x.zero_()
    assert IMAGES.float().equal(images)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (64, [10])])
def test_every_sample_comes_once_an_epoch(batch_size, sizes, shuffle):
    loader = BatchLoader(IMAGES, LABELS, batch_size, shuffle)
    assert [len(y) for _, y in loader] == sizes and len(loader) == len(sizes)
    assert sorted(labels_of(loader)) == list(range(10))
    assert loader.num_samples == 10


def test_drop_last_leaves_out_a_short_last_batch():
    loader = BatchLoader(IMAGES, LABELS, 4, drop_last=True)
    assert [len(y) for _, y in loader] == [4, 4] and len(loader) == 2


@pytest.mark.parametrize("shuffle", [False, True])
def test_indices_choose_the_samples(shuffle):
    loader = BatchLoader(IMAGES, LABELS, 2, shuffle, indices=torch.tensor([7, 1, 4]))
    assert sorted(labels_of(loader)) == [1, 4, 7] and loader.num_samples == 3
    for x, y in loader:
        assert x.equal(IMAGES[y].flatten(1) / 255)


def test_shuffled_images_keep_their_labels():
    for x, y in BatchLoader(IMAGES, LABELS, 3, shuffle=True, seed=0):
        assert x.equal(IMAGES[y].flatten(1) / 255)


def test_each_epoch_has_a_new_order_that_the_seed_repeats():
    first, second = (BatchLoader(IMAGES, LABELS, shuffle=True, seed=5) for _ in range(2))
    epochs = [labels_of(first), labels_of(first)]
    assert epochs[0] != epochs[1]
    assert epochs == [labels_of(second), labels_of(second)]


def test_without_a_seed_the_global_generator_decides():
    loader = BatchLoader(IMAGES, LABELS, shuffle=True)
    torch.manual_seed(1)
    first = labels_of(loader)
    torch.manual_seed(1)
    assert first == labels_of(loader)


def test_a_generator_can_stand_in_for_a_seed():
    loader = BatchLoader(IMAGES, LABELS, shuffle=True, seed=torch.Generator().manual_seed(5))
    assert labels_of(loader) == labels_of(BatchLoader(IMAGES, LABELS, shuffle=True, seed=5))


def test_images_stay_bytes_and_are_not_copied():
    loader = BatchLoader(IMAGES, LABELS, shuffle=True)
    list(loader)
    assert loader.images.data_ptr() == IMAGES.data_ptr() and loader.images.dtype == torch.uint8


def test_an_empty_loader_has_no_batches():
    loader = BatchLoader(IMAGES[:0], LABELS[:0])
    assert len(loader) == 0 and list(loader) == []


def test_images_and_labels_of_different_number_are_refused():
    with pytest.raises(ValueError, match=r"images \(10, 28, 28\) and labels \(9,\)"):
        BatchLoader(IMAGES, LABELS[:9])


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ValueError, match="batch_size of at least 1, got 0"):
        BatchLoader(IMAGES, LABELS, 0)


def test_a_loader_says_what_it_is():
    assert repr(BatchLoader(IMAGES, LABELS, 4, True)) == (
        "BatchLoader: 10 samples in 3 batches, shuffled"
    )


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [2, 3, 4, 7, 10])
def test_parts_together_are_the_batches_without_overlap_or_loss(shuffle, world_size, batch_size):
    loader = BatchLoader(IMAGES, LABELS, batch_size, shuffle, seed=1)
    parts = [list(loader.shard(rank, world_size)) for rank in range(world_size)]
    for batch, *cut in zip(loader, *parts, strict=True):
        assert torch.cat([x for x, _ in cut]).equal(batch[0])
        assert torch.cat([y for _, y in cut]).equal(batch[1])


@pytest.mark.parametrize("n", range(2, 20))
@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_a_part_has_two_samples_at_least_or_none(n, world_size):
    loader = BatchLoader(torch.zeros(n, 1), torch.zeros(n), batch_size=n)
    sizes = [len(y) for rank in range(world_size) for _, y in loader.shard(rank, world_size)]
    assert sum(sizes) == n and 1 not in sizes
    assert n < 2 * world_size or max(sizes) - min(sizes) <= 1


def test_parts_agree_on_the_order_of_every_epoch():
    loader = BatchLoader(IMAGES, LABELS, 4, shuffle=True, seed=1)
    parts = [loader.shard(rank, 2) for rank in (0, 1)]
    for _ in range(2):
        assert sorted(labels_of(parts[0]) + labels_of(parts[1])) == list(range(10))


def test_a_random_order_without_a_seed_cannot_be_shared():
    with pytest.raises(ValueError, match="seeded order for all processes to share"):
        BatchLoader(IMAGES, LABELS, shuffle=True).shard(0, 2)


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_that_is_none_is_refused(rank):
    with pytest.raises(ValueError, match=f"rank from 0 to 1, got {rank}"):
        BatchLoader(IMAGES, LABELS).shard(rank, 2)


def test_a_part_says_which_it_is():
    assert repr(BatchLoader(IMAGES, LABELS, 4).shard(1, 3)) == (
        "BatchLoader: 10 samples in 3 batches, in order, part 2 of 3"
    )


def test_batches_are_made_on_the_loaders_device():
    x, y = next(iter(BatchLoader(IMAGES, LABELS, 4, device="meta")))
    assert x.device.type == y.device.type == "meta" and x.shape == (4, 784)
