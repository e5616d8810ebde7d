from clipfold.storage.hashing import stable_hash


def test_the_hash_never_changes_since_shards_folds_and_augmentation_follow_from_it():
    assert stable_hash("a.mp4") == 9515143989430994452
    assert stable_hash("ä", digest_size=16) == 270234237449932345385127811441540702254
